-- Documents as the caller redacted them, cut into chunks that full text and pgvector find.
create extension if not exists vector;

-- A placeholder such as [EMAIL_1] and an id such as ORD-10442 become one word each, which the parser would split.
create function search_words(content text) returns text language sql immutable strict parallel safe
return regexp_replace(regexp_replace(regexp_replace(
    replace(content, '/', ' '),
    '_(?=[A-Z0-9_]*_[0-9]+\])', '', 'g'),
    '\[([A-Z][A-Z0-9]*)_([0-9]+)\]', ' redacted\1x\2 ', 'g'),
    '(?<=[[:alnum:]])[-_](?=[[:alnum:]]*[0-9])', '', 'g');

-- 'english' stems words and leaves every token with a digit to 'simple', so ids and amounts stay exact.
create function search_vector(heading text, content text) returns tsvector language sql immutable strict parallel safe
return setweight(to_tsvector('english', search_words(heading)), 'A')
    || setweight(to_tsvector('english', search_words(content)), 'B');

create table collections (
    collection_id bigint generated always as identity primary key,
    tenant text not null default 'default',
    name text not null,
    embedder text not null,
    dimensions int not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (tenant, name)
);

-- `digest` is of the file's raw bytes, `body` the whole redacted text, `table_info` what DuckDB makes of a CSV file.
create table documents (
    document_id bigint generated always as identity primary key,
    collection_id bigint not null references collections on delete cascade,
    path text not null,
    media_type text not null,
    digest text not null,
    body text not null,
    characters int not null,
    headings jsonb not null default '[]',
    table_info jsonb,
    updated_at timestamptz not null default now(),
    unique (collection_id, path)
);

-- Every search reads one collection, so a scan of its chunks is exact; an ANN index would lose neighbours to the filter.
create table chunks (
    document_id bigint not null references documents on delete cascade,
    ordinal int not null,
    collection_id bigint not null,
    heading text not null,
    page int,
    content text not null,
    embedding vector not null,
    words tsvector generated always as (search_vector(heading, content)) stored,
    primary key (document_id, ordinal)
);

create index chunks_by_collection on chunks (collection_id);
create index chunks_words on chunks using gin (words);
