-- The complete protocol: what grants are bound to, and what each part of it keeps.

-- grants -----------------------------------------------------------------------------------------------------------
-- confirmation: the key that tokens are bound to ("jkt:" or "x5t#S256:" and its thumbprint). terms: what else was asked and granted
-- (JSON). signed_by: the key that signed the latest token of the grant which others verify by themselves. parent_id: the grant whose token
-- was exchanged for this one, which stands no longer than that does.
ALTER TABLE grants
    ADD COLUMN confirmation text,
    ADD COLUMN terms text,
    ADD COLUMN signed_by text,
    -- Grants of kiosks end when nobody used them for idle_limit seconds.
    ADD COLUMN idle_limit integer,
    ADD COLUMN used_at timestamptz,
    ADD COLUMN parent_id uuid;
CREATE INDEX grants_by_lineage ON grants (lineage) WHERE lineage IS NOT NULL;

-- clients ----------------------------------------------------------------------------------------------------------
-- The secret itself, sealed: for client_secret_jwt alone, which cannot do with a mac of it.
ALTER TABLE clients ADD COLUMN sealed_secret bytea;
-- Grants that began earlier are over: the client was suspended since. One mark for all of them, because a stop must not wait for a million.
ALTER TABLE clients ADD COLUMN grants_from timestamptz;

-- what a person must prove --------------------------------------------------------------------------------------------
-- passkeys: how many the person has. barred_from: the clients at which the person may not sign in, as application_bans says; both stand
-- here because the row is read on every sign-on anyway.
ALTER TABLE people
    ADD COLUMN passkeys smallint NOT NULL DEFAULT 0,
    ADD COLUMN barred_from text[];

-- Public keys that a person signs in with (WebAuthn). user_handle is what the authenticator knows the person by: random, one per person.
CREATE TABLE passkeys (
    person_id uuid NOT NULL REFERENCES people (id),
    id uuid NOT NULL,
    credential_id bytea NOT NULL UNIQUE,
    user_handle bytea NOT NULL,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    transports text NOT NULL,
    backup_eligible boolean NOT NULL,
    backed_up boolean NOT NULL,
    sealed_name bytea NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz,
    PRIMARY KEY (person_id, id)
);

-- Bans that hold at one application only: by whom, why, from when until when.
CREATE TABLE application_bans (
    person_id uuid NOT NULL REFERENCES people (id),
    id uuid NOT NULL,
    client_id text NOT NULL REFERENCES clients (client_id),
    reference text NOT NULL,
    reason text NOT NULL,
    banned_by text NOT NULL,
    banned_at timestamptz NOT NULL,
    ended_by text,
    ended_at timestamptz,
    PRIMARY KEY (person_id, id)
);
CREATE UNIQUE INDEX application_bans_in_force ON application_bans (person_id, client_id) WHERE ended_at IS NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON passkeys TO idp_app;
GRANT SELECT, INSERT, UPDATE ON application_bans TO idp_app;

-- data keys --------------------------------------------------------------------------------------------------------
-- A key is of one cipher suite for ever. usable_from: nothing is made with it before, so that every process knows it by then.
ALTER TABLE data_keys
    ADD COLUMN suite text NOT NULL DEFAULT 'international' CHECK (suite IN ('international', 'national')),
    ADD COLUMN usable_from timestamptz;

-- Which hash made a link. Links of both suites follow each other after a switch.
ALTER TABLE audit_chain ADD COLUMN suite text NOT NULL DEFAULT 'international' CHECK (suite IN ('international', 'national'));

-- Which key made a blind index. There was one alone until now; processes of the last release write no other.
ALTER TABLE person_identifiers ADD COLUMN index_key text NOT NULL DEFAULT 'index-1';
ALTER TABLE person_contacts ADD COLUMN index_key text NOT NULL DEFAULT 'index-1';

-- registration of clients ------------------------------------------------------------------------------------------
-- For a while after a rotation the previous secret counts too. registration_token_hash: of the token that a client which registered
-- itself manages its registration with (RFC 7592). software_statement: what vouched for it, told again as it came (RFC 7591 §3.2.1).
ALTER TABLE clients
    ADD COLUMN previous_secret_mac bytea,
    ADD COLUMN previous_sealed_secret bytea,
    ADD COLUMN previous_secret_until timestamptz,
    ADD COLUMN registration_token_hash bytea,
    ADD COLUMN software_statement text;

-- Initial access tokens (RFC 7591 §1.2): what lets a department's developers register clients by themselves.
CREATE TABLE registration_tokens (
    token_hash bytea PRIMARY KEY,
    label text NOT NULL,
    uses_left integer NOT NULL CHECK (uses_left >= 0),
    expires_at timestamptz NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL
);

-- What waits for a second person on a live client, and what became of it. wanted: the changed metadata by their wire names (JSON).
CREATE TABLE client_changes (
    id text PRIMARY KEY,
    client_id text NOT NULL REFERENCES clients (client_id),
    kind text NOT NULL CHECK (kind IN ('change', 'go_live', 'resume', 'rotate_secret')),
    state text NOT NULL CHECK (state IN ('pending', 'approved', 'done', 'refused', 'withdrawn', 'expired')),
    wanted text NOT NULL,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    decided_by text,
    decided_at timestamptz,
    reason text,
    CHECK (decided_by IS NULL OR decided_by <> asked_by OR state = 'withdrawn')
);
CREATE UNIQUE INDEX client_changes_pending ON client_changes (client_id) WHERE state = 'pending';
CREATE INDEX client_changes_by_state ON client_changes (state, id);

GRANT SELECT, INSERT, UPDATE, DELETE ON registration_tokens TO idp_app;
GRANT SELECT, INSERT, UPDATE ON client_changes TO idp_app;

-- logout -----------------------------------------------------------------------------------------------------------
-- Whom the end of a sign-in is told, and what became of it. channel: back (server to server), front (through the browser), none.
CREATE TABLE logout_deliveries (
    lineage bytea NOT NULL,
    client_id text NOT NULL,
    person_id uuid NOT NULL,
    subject text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('back', 'front', 'none')),
    state text NOT NULL CHECK (state IN ('waiting', 'told', 'shown', 'untold')),
    reason text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (lineage, client_id)
);
CREATE INDEX logout_deliveries_waiting ON logout_deliveries (expires_at) WHERE state = 'waiting';
CREATE INDEX logout_deliveries_by_creation ON logout_deliveries (created_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON logout_deliveries TO idp_app;

-- signing keys -----------------------------------------------------------------------------------------------------
-- provider: who has the private part, software or pkcs11; label: what it is called in the device.
ALTER TABLE signing_keys
    ADD COLUMN provider text NOT NULL DEFAULT 'software',
    ADD COLUMN label text;

-- The deny list. Nobody who serves may change or shorten it, so a key that was revoked once never comes back.
CREATE TABLE revoked_signing_keys (
    kid text PRIMARY KEY,
    revoked_at timestamptz NOT NULL,
    reason text NOT NULL
);
INSERT INTO revoked_signing_keys (kid, revoked_at, reason)
SELECT kid, state_since, coalesce(reason, '') FROM signing_keys WHERE state = 'revoked';

GRANT SELECT, INSERT ON revoked_signing_keys TO idp_app;
GRANT SELECT ON revoked_signing_keys TO idp_audit_reader;

-- sign-ins of apps -------------------------------------------------------------------------------------------------
-- An app's own sign-in has no cookie: the device's lock stands before it. app_client_id names the app; NULL is a browser.
ALTER TABLE sessions ADD COLUMN app_client_id text;

-- resource servers ---------------------------------------------------------------------------------------------------
-- Which client is a resource: one alone, as long as it is not retired. By this row is found of what format and for which sector the
-- tokens of a resource are.
CREATE TABLE client_resources (
    resource text PRIMARY KEY,
    client_id text NOT NULL REFERENCES clients (client_id)
);
CREATE INDEX client_resources_by_client ON client_resources (client_id);
INSERT INTO client_resources (resource, client_id)
SELECT named.resource, min(c.client_id)
FROM clients c, jsonb_array_elements_text(c.document::jsonb -> 'resources') AS named (resource)
WHERE c.status <> 'retired'
GROUP BY named.resource;
GRANT SELECT, INSERT, DELETE ON client_resources TO idp_app;
