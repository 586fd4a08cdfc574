-- LangGraph's store, as its AsyncPostgresStore makes it: long-term memory of hosted graphs. A namespace begins with its
-- tenant. The vectors' table is made when langgraph.json says how many dimensions they have.
create table if not exists store (
    prefix text not null,
    key text not null,
    value jsonb not null,
    created_at timestamptz default current_timestamp,
    updated_at timestamptz default current_timestamp,
    expires_at timestamptz,
    ttl_minutes int,
    primary key (prefix, key)
);

create index if not exists store_prefix_idx on store using btree (prefix text_pattern_ops);
create index if not exists idx_store_expires_at on store (expires_at) where expires_at is not null;
