-- Who asked for a hosted run, as its graph is told: what langgraph.json's `auth` returned may hold tokens. Sealed with the
-- vault's key, and gone when the run ends; in `launch` stays who it was.
alter table runs add column caller bytea;

update runs set launch = (launch::jsonb #- '{config,configurable,langgraph_auth_user}')::json
where finished_at is not null and launch #> '{config,configurable,langgraph_auth_user}' is not null;
