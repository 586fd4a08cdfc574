-- The order in which a thread's runs began, for whoever follows the thread: numbers that stay, also when a run is
-- forgotten. They are given when somebody looks; a thread that nobody follows has none.
create table thread_runs (
    thread_id uuid not null references threads on delete cascade,
    place int not null,
    run_id uuid not null unique,
    primary key (thread_id, place)
);
