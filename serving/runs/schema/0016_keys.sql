-- What callers of the API send. Only a key's hash is kept (SHA-256: a key has 256 random bits, so nothing stronger is
-- needed); `prefix` is how people tell keys apart.
create table api_keys (
    key_id uuid primary key,
    tenant text not null,
    digest bytea not null unique,
    prefix text not null,
    name text not null default '',
    scopes text[] not null check (cardinality(scopes) > 0),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    used_at timestamptz,
    revoked_at timestamptz
);

create index api_keys_by_tenant on api_keys (tenant, key_id);

-- A run's thread is its own tenant's, whoever writes the row.
alter table threads add unique (thread_id, tenant);
alter table runs drop constraint runs_thread_id_fkey,
    add foreign key (thread_id, tenant) references threads (thread_id, tenant) on delete cascade;

-- Which request an Idempotency-Key was used for; what it made has an id that follows from tenant, kind and key.
create table idempotency_keys (
    tenant text not null,
    kind text not null,
    key text not null,
    digest bytea not null,
    created_at timestamptz not null default now(),
    primary key (tenant, kind, key)
);
