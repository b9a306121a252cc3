-- Registration: drafts, evidence, limits of checks, contact numbers, agreements; what recovery leaves behind.

-- For a day after recovery by phone nothing counts as more than one factor (domain.md "Levels").
ALTER TABLE people ADD COLUMN recovered_at timestamptz;

-- A frozen phone is nobody's way in until the operator's match succeeds again.
ALTER TABLE person_identifiers
    ADD COLUMN state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'frozen')),
    ADD COLUMN used_at timestamptz;

-- Set when what somebody signed in with has become known to everybody; the next sign-in asks for another one.
ALTER TABLE passwords ADD COLUMN must_change boolean NOT NULL DEFAULT false;

-- Devices that nobody signed in with for half a year are forgotten.
CREATE INDEX known_devices_by_use ON known_devices (last_seen_at);

-- Numbers that codes and notices go to without being a way to sign in: shared ones, and those that a new holder took over.
CREATE TABLE person_contacts (
    person_id uuid NOT NULL REFERENCES people (id),
    phone_index bytea NOT NULL,
    sealed bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('contact', 'to_be_renewed')),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (person_id, phone_index)
);
CREATE INDEX person_contacts_by_phone ON person_contacts (phone_index);

-- A registration on its way: survives a crash, reserves no identifier, ends by itself.
CREATE TABLE registration_drafts (
    id uuid PRIMARY KEY,
    owner_hash bytea NOT NULL UNIQUE,
    step text NOT NULL,
    version integer NOT NULL,
    sealed bytea NOT NULL,
    checking_until timestamptz,
    awaited text,
    person_id uuid REFERENCES people (id),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX registration_drafts_by_expiry ON registration_drafts (expires_at);
CREATE INDEX registration_drafts_awaiting ON registration_drafts (awaited, id) WHERE awaited IS NOT NULL;

-- What was asked of which authority and what it said; never the reply itself, a card number or a document number.
CREATE TABLE proofing_evidence (
    id uuid PRIMARY KEY,
    request_id text NOT NULL UNIQUE,
    case_id uuid NOT NULL,
    person_id uuid REFERENCES people (id),
    kind text NOT NULL,
    input_mac bytea NOT NULL,
    key_id text NOT NULL,
    result text NOT NULL,
    source text NOT NULL,
    source_reference text NOT NULL,
    source_signature text NOT NULL,
    purpose text NOT NULL,
    consent_ref text NOT NULL,
    operator text,
    at timestamptz NOT NULL
);
CREATE INDEX proofing_evidence_by_case ON proofing_evidence (case_id);
CREATE INDEX proofing_evidence_by_person ON proofing_evidence (person_id, at) WHERE person_id IS NOT NULL;
CREATE INDEX proofing_evidence_of_nobody ON proofing_evidence (at) WHERE person_id IS NULL;

-- How many checks were spent on whom today; like locks they survive a crash.
CREATE TABLE check_counts (
    day date NOT NULL,
    scope text NOT NULL CHECK (scope IN ('person', 'claim', 'phone', 'device', 'request')),
    kind text NOT NULL,
    subject_hash bytea NOT NULL,
    spent integer NOT NULL,
    PRIMARY KEY (day, scope, kind, subject_hash)
);

-- Which text of the service agreement a person accepted.
CREATE TABLE agreements (
    person_id uuid NOT NULL REFERENCES people (id),
    id uuid NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    language text NOT NULL,
    text_hash bytea NOT NULL,
    serial text NOT NULL UNIQUE,
    accepted_at timestamptz NOT NULL,
    PRIMARY KEY (person_id, id)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON person_contacts, registration_drafts, check_counts TO idp_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON proofing_evidence TO idp_app;
GRANT SELECT, INSERT ON agreements TO idp_app;
