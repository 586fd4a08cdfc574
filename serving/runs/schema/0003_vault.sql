-- The server's vault: placeholders of text that came in unredacted, and values a person revealed for one run.
create table vault (
    tenant text not null default 'default',
    scope text not null default '',
    placeholder text not null,
    kind text not null,
    number bigint not null,
    fingerprint bytea not null,
    sealed bytea not null,
    expires_at timestamptz,
    primary key (tenant, scope, placeholder)
);

create unique index vault_by_value on vault (tenant, scope, kind, fingerprint);
