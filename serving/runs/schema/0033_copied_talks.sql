-- The messages of the agent's talk that a copied thread begins with: the runs in which they were said stay where they are.
alter table threads add column brought jsonb;
