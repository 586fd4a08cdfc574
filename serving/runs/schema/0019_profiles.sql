-- How answers are given on a channel: a tenant's own line, else everyone's ('*'), which come with the product.
create table profiles (
    tenant text not null,
    channel text not null check (channel ~ '^[a-z][a-z0-9_-]{0,39}$'),
    length text not null check (length in ('brief', 'normal', 'full')),
    structure text not null check (structure in ('plain', 'markdown', 'facts')),
    modality text not null check (modality in ('text', 'speech')),
    progress text not null check (progress in ('none', 'steps', 'all')),
    approval text not null check (approval in ('reply', 'link')),
    artifacts text not null check (artifacts in ('link', 'name', 'none')),
    primary key (tenant, channel)
);

insert into profiles (tenant, channel, length, structure, modality, progress, approval, artifacts) values
    ('*', 'api', 'normal', 'plain', 'text', 'steps', 'link', 'link'),
    ('*', 'cli', 'normal', 'markdown', 'text', 'all', 'reply', 'name'),
    ('*', 'mcp', 'normal', 'facts', 'text', 'none', 'link', 'link'),
    ('*', 'voice', 'brief', 'plain', 'speech', 'none', 'reply', 'name'),
    ('*', 'web', 'normal', 'markdown', 'text', 'all', 'reply', 'link');

-- A run keeps the profile that its channel had when it was made. `asked` is what a client of another vocabulary said
-- beside the goal, to be given back to it; `conversation` in it stands for what had been said up to this run.
alter table runs add column profile jsonb, add column asked jsonb;

update runs set profile = (
    select to_jsonb(profile) - 'tenant' - 'channel' from profiles profile
    where profile.channel = coalesce(runs.request ->> 'channel', 'api')
) where status in ('pending', 'running', 'interrupted');

create index runs_by_conversation on runs (tenant, (asked ->> 'conversation'), run_id)
    where asked ->> 'conversation' is not null;
