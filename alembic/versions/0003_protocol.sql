-- The complete protocol: what grants are bound to, and what each part of it keeps.

-- grants -----------------------------------------------------------------------------------------------------------
-- confirmation: the key that tokens are bound to ("jkt:" or "x5t#S256:" and its thumbprint). terms: what else was asked and granted
-- (JSON). signed_by: the key that signed the latest token of the grant which others verify by themselves.
ALTER TABLE grants
    ADD COLUMN confirmation text,
    ADD COLUMN terms text,
    ADD COLUMN signed_by text;
CREATE INDEX grants_by_lineage ON grants (lineage) WHERE lineage IS NOT NULL;

-- clients ----------------------------------------------------------------------------------------------------------
-- The secret itself, sealed: for client_secret_jwt alone, which cannot do with a mac of it.
ALTER TABLE clients ADD COLUMN sealed_secret bytea;
