-- The bones: keys, people, sessions, clients, grants, audit, outbox, jobs, transients.
-- Roles: the owner migrates; idp_app serves and works; idp_audit_reader only reads audit.

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'idp_app') THEN CREATE ROLE idp_app NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'idp_audit_reader') THEN CREATE ROLE idp_audit_reader NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;

CREATE TABLE environment (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name text NOT NULL CHECK (name IN ('production', 'sandbox', 'demo'))
);

-- keys -------------------------------------------------------------------------------------------------------------
CREATE TABLE data_keys (
    id text PRIMARY KEY,
    purpose text NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX data_keys_by_purpose ON data_keys (purpose, created_at);

CREATE TABLE signing_keys (
    kid text PRIMARY KEY,
    algorithm text NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'active', 'retiring', 'retired', 'revoked')),
    wrapped bytea,
    public_jwk text NOT NULL,
    created_at timestamptz NOT NULL,
    state_since timestamptz NOT NULL,
    reason text
);

-- people -----------------------------------------------------------------------------------------------------------
CREATE TABLE people (
    id uuid PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('pending', 'active', 'frozen', 'banned', 'unban_requested', 'closing', 'closed', 'deceased')),
    ial smallint NOT NULL CHECK (ial BETWEEN 1 AND 4),
    profile bytea NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE person_identifiers (
    kind text NOT NULL,
    index_value bytea NOT NULL,
    person_id uuid NOT NULL REFERENCES people (id),
    sealed bytea NOT NULL,
    matched_at timestamptz,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (kind, index_value)
);
CREATE INDEX person_identifiers_by_person ON person_identifiers (person_id, kind);

CREATE TABLE passwords (
    person_id uuid PRIMARY KEY REFERENCES people (id),
    verifier text NOT NULL,
    changed_at timestamptz NOT NULL
);

CREATE TABLE known_devices (
    person_id uuid NOT NULL REFERENCES people (id),
    device_hash bytea NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    PRIMARY KEY (person_id, device_hash)
);

-- A lock must survive the loss of every transient: architecture decision 10.
CREATE TABLE sign_in_locks (
    way text NOT NULL,
    subject_hash bytea NOT NULL,
    locked_until timestamptz NOT NULL,
    PRIMARY KEY (way, subject_hash)
);

-- Daily limits of messages survive like locks; subject_hash is a blind index of the phone or the device.
CREATE TABLE message_counts (
    day date NOT NULL,
    scope text NOT NULL CHECK (scope IN ('phone', 'device')),
    subject_hash bytea NOT NULL,
    sent integer NOT NULL,
    PRIMARY KEY (day, scope, subject_hash)
);

CREATE TABLE sessions (
    id_hash bytea PRIMARY KEY,
    lineage bytea NOT NULL,
    person_id uuid NOT NULL REFERENCES people (id),
    factors text NOT NULL,
    device_hash bytea,
    sealed_place bytea,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_reason text
);
CREATE INDEX sessions_by_person ON sessions (person_id, created_at);
-- A step-up gives the browser a new id; codes and grants follow the lineage, which stays.
CREATE INDEX sessions_by_lineage ON sessions (lineage);

-- departments and their systems ------------------------------------------------------------------------------------
CREATE TABLE sectors (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE clients (
    client_id text PRIMARY KEY,
    version integer NOT NULL,
    status text NOT NULL CHECK (status IN ('sandbox', 'reviewing', 'live', 'suspended', 'retired')),
    sector_id uuid NOT NULL REFERENCES sectors (id),
    document text NOT NULL,
    secret_mac bytea,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE FUNCTION notify_client_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('clients', NEW.client_id); RETURN NEW; END $$;
CREATE TRIGGER clients_changed AFTER INSERT OR UPDATE ON clients FOR EACH ROW EXECUTE FUNCTION notify_client_change();

CREATE TABLE subjects (
    person_id uuid NOT NULL REFERENCES people (id),
    sector_id uuid NOT NULL REFERENCES sectors (id),
    sub text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (person_id, sector_id)
);

CREATE TABLE consents (
    person_id uuid NOT NULL REFERENCES people (id),
    client_id text NOT NULL REFERENCES clients (client_id),
    purpose text NOT NULL,
    version integer NOT NULL,
    claims text NOT NULL,
    given_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    PRIMARY KEY (person_id, client_id, purpose, version)
);

-- The grant row is the truth (architecture decision 8). id = the id of the code that was redeemed.
CREATE TABLE grants (
    id uuid PRIMARY KEY,
    client_id text NOT NULL,
    person_id uuid,
    lineage bytea,
    scope text NOT NULL,
    subject text,
    audience text,
    factors text NOT NULL,
    acr text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    generation integer NOT NULL DEFAULT 0,
    rotated_at timestamptz,
    graced boolean NOT NULL DEFAULT false,
    ended_at timestamptz,
    ended_reason text
);
CREATE INDEX grants_by_person ON grants (person_id) WHERE person_id IS NOT NULL;
CREATE INDEX grants_by_expiry ON grants (expires_at);

-- audit ------------------------------------------------------------------------------------------------------------
CREATE TABLE audit_events (
    at timestamptz NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    result text NOT NULL,
    actor text NOT NULL,
    person_id uuid,
    client_id text,
    request_id text NOT NULL,
    details text NOT NULL,
    sealed_place bytea,
    place_hash bytea,
    key_id text NOT NULL,
    mac bytea NOT NULL,
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
CREATE TABLE audit_events_default PARTITION OF audit_events DEFAULT;
CREATE INDEX audit_events_by_person ON audit_events (person_id, at) WHERE person_id IS NOT NULL;

CREATE TABLE audit_chain (
    seq bigint PRIMARY KEY,
    event_at timestamptz NOT NULL,
    event_id uuid NOT NULL UNIQUE,
    mac bytea NOT NULL,
    prev bytea NOT NULL,
    hash bytea NOT NULL
);
CREATE INDEX audit_chain_by_event ON audit_chain (event_at, event_id);

-- outbox and jobs --------------------------------------------------------------------------------------------------
CREATE TABLE outbox (
    at timestamptz NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed', 'expired')),
    sealed bytea,
    expires_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    finished_at timestamptz,
    reference text,
    error text,
    PRIMARY KEY (at, id)
) PARTITION BY RANGE (at);
CREATE TABLE outbox_default PARTITION OF outbox DEFAULT;
CREATE INDEX outbox_waiting ON outbox (next_attempt_at) WHERE state = 'waiting';
CREATE FUNCTION notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('outbox', ''); RETURN NULL; END $$;
CREATE TRIGGER outbox_filled AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION notify_outbox();

-- Monthly partitions of audit_events and outbox: the month of instant and the two after it. The service may call this, but owns no
-- table. Rows that had to go to the default partition move along, up to a bound that keeps its lock short; beyond it the month stays
-- in the default partition, which is slower to drop and otherwise the same. Nothing is ever dropped here.
CREATE FUNCTION ensure_partitions(instant timestamptz) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '3s' SET timezone = 'UTC' AS $$
DECLARE
    parent text;
    fallback text;
    partition text;
    first timestamptz;
    next timestamptz;
    strays bigint;
    made text[] := '{}';
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ensure_partitions'));
    FOREACH parent IN ARRAY ARRAY['audit_events', 'outbox'] LOOP
        fallback := parent || '_default';
        FOR ahead IN 0..2 LOOP
            first := date_trunc('month', instant) + make_interval(months => ahead);
            next := first + interval '1 month';
            partition := parent || to_char(first, '"_y"YYYY"m"MM');
            CONTINUE WHEN to_regclass('public.' || partition) IS NOT NULL;
            EXECUTE format('SELECT count(*) FROM (SELECT FROM public.%I WHERE at >= $1 AND at < $2 LIMIT 50001) s', fallback)
                INTO strays USING first, next;
            CONTINUE WHEN strays > 50000;
            EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL)', partition, parent);
            EXECUTE format('LOCK TABLE public.%I IN ACCESS EXCLUSIVE MODE', fallback);
            EXECUTE format('WITH moved AS (DELETE FROM public.%I WHERE at >= $1 AND at < $2 RETURNING *) '
                'INSERT INTO public.%I SELECT * FROM moved', fallback, partition) USING first, next;
            EXECUTE format('ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', parent, partition, first, next);
            made := made || partition;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
REVOKE ALL ON FUNCTION ensure_partitions(timestamptz) FROM PUBLIC;

CREATE TABLE jobs (
    kind text PRIMARY KEY,
    cursor text NOT NULL DEFAULT '',
    progress text NOT NULL DEFAULT '',
    run_at timestamptz NOT NULL,
    lease_until timestamptz,
    last_error text
);

-- transients: may be lost, never grant ----------------------------------------------------------------------------
CREATE UNLOGGED TABLE transients (
    kind text NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    version bigint NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX transients_by_expiry ON transients (expires_at);

-- rights -----------------------------------------------------------------------------------------------------------
GRANT SELECT, INSERT, UPDATE, DELETE ON
    data_keys, signing_keys, people, person_identifiers, passwords, known_devices, sign_in_locks, message_counts, sessions, sectors, clients,
    subjects, consents, grants, outbox, outbox_default, jobs, transients TO idp_app;
GRANT SELECT ON environment, alembic_version TO idp_app;
GRANT SELECT, INSERT ON audit_events, audit_events_default, audit_chain TO idp_app;
GRANT EXECUTE ON FUNCTION ensure_partitions(timestamptz) TO idp_app;
GRANT SELECT ON environment, audit_events, audit_events_default, audit_chain, data_keys, signing_keys TO idp_audit_reader;

-- The first months; from then on the worker makes them.
SELECT ensure_partitions(transaction_timestamp());
