-- Run once as PostgreSQL's superuser, before the first `idp migrate`; then give the three login roles their passwords by \password.
-- Every name may be changed but idp_app and idp_audit_reader, which the migrations grant rights to.

-- Rights without a login: what the service may do, and what the audit administrator may read.
CREATE ROLE idp_app NOLOGIN;
CREATE ROLE idp_audit_reader NOLOGIN;

-- Owns the tables and migrates. Its password is used by `idp migrate` alone and does not belong on the serving machines.
CREATE ROLE idp_owner LOGIN;

-- Serves and works. It owns nothing, and can neither change nor remove a row of the audit log.
CREATE ROLE idp_service LOGIN IN ROLE idp_app;

-- Reads the audit log and the keys that check it: enough for `idp audit verify`, and for nothing that changes anything.
CREATE ROLE idp_auditor LOGIN IN ROLE idp_audit_reader;

CREATE DATABASE idp OWNER idp_owner ENCODING 'UTF8' TEMPLATE template0;
