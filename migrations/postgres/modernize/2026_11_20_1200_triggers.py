"""Triggers: updated_at is kept true, and every change of a tenant is logged."""

from alembic import op

from dbops.operations.migrate import objects

revision = "2026_11_20_1200"
down_revision = "2026_11_20_1100"

UPDATE_UPDATED_AT = """CREATE FUNCTION update_updated_at()
RETURNS TRIGGER AS $$
BEGIN
    NEW.updated_at = NOW();
    RETURN NEW;
END;
$$ LANGUAGE plpgsql"""

AUDIT_TRIGGER_FUNCTION = """CREATE FUNCTION audit_trigger_function()
RETURNS TRIGGER AS $$
DECLARE
    hidden TEXT[] := COALESCE(TG_ARGV, '{}');  -- columns that are not written to the log
    uid UUID := NULLIF(current_setting('app.current_user_id', true), '')::UUID;
    cid UUID := NULLIF(current_setting('app.current_client_id', true), '')::UUID;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO audit_log (table_name, record_id, operation, new_values, user_id, client_account_id)
        VALUES (TG_TABLE_NAME, NEW.id, TG_OP, to_jsonb(NEW) - hidden, uid, cid);
        RETURN NEW;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO audit_log (table_name, record_id, operation, old_values, new_values, user_id, client_account_id)
        VALUES (TG_TABLE_NAME, NEW.id, TG_OP, to_jsonb(OLD) - hidden, to_jsonb(NEW) - hidden, uid, cid);
        RETURN NEW;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO audit_log (table_name, record_id, operation, old_values, user_id, client_account_id)
        VALUES (TG_TABLE_NAME, OLD.id, TG_OP, to_jsonb(OLD) - hidden, uid, cid);
        RETURN OLD;
    END IF;
    RETURN NULL;
END;
$$ LANGUAGE plpgsql"""

DATED = (
    "client_accounts",
    "engagements",
    "users",
    "crewai_flow_state_extensions",
    "data_imports",
    "discovery_flows",
    "assets",
    "agent_memory",
    "collection_flows",
    "assessment_flows",
)
AUDITED = {  # each with the columns that must not be written to the log
    "client_accounts": (),
    "engagements": (),
    "users": ("password_hash", "email", "email_hash"),
    "user_account_associations": (),
    "crewai_flow_state_extensions": (),
    "data_imports": (),
    "discovery_flows": (),
    "assets": (),
    "agent_memory": (),
    "agent_task_history": (),
    "collection_flows": (),
    "assessment_flows": (),
    "sixr_analysis": (),
}


def upgrade() -> None:
    op.execute(UPDATE_UPDATED_AT)
    op.execute(AUDIT_TRIGGER_FUNCTION)
    for table in DATED:
        objects.create_trigger(f"update_{table}_updated_at", table, "BEFORE UPDATE", "update_updated_at")
    for table, hidden in AUDITED.items():
        objects.create_trigger(
            f"audit_{table}",
            table,
            "AFTER INSERT OR DELETE OR UPDATE",
            "audit_trigger_function",
            arguments=hidden,
        )


def downgrade() -> None:
    for table in AUDITED:
        objects.drop_trigger(f"audit_{table}", table)
    for table in DATED:
        objects.drop_trigger(f"update_{table}_updated_at", table)
    op.execute("DROP FUNCTION audit_trigger_function()")
    op.execute("DROP FUNCTION update_updated_at()")
