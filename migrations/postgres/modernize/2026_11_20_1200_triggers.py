"""Triggers"""

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


def upgrade() -> None:
    op.execute(UPDATE_UPDATED_AT)
    op.execute(AUDIT_TRIGGER_FUNCTION)
    objects.create_trigger("update_client_accounts_updated_at", "client_accounts", "BEFORE UPDATE", "update_updated_at")
    objects.create_trigger(
        "audit_client_accounts", "client_accounts", "AFTER INSERT OR DELETE OR UPDATE", "audit_trigger_function"
    )
    objects.create_trigger("update_engagements_updated_at", "engagements", "BEFORE UPDATE", "update_updated_at")
    objects.create_trigger(
        "audit_engagements", "engagements", "AFTER INSERT OR DELETE OR UPDATE", "audit_trigger_function"
    )
    objects.create_trigger("update_users_updated_at", "users", "BEFORE UPDATE", "update_updated_at")
    objects.create_trigger(
        "audit_users",
        "users",
        "AFTER INSERT OR DELETE OR UPDATE",
        "audit_trigger_function",
        arguments=(
            "password_hash",
            "email",
            "email_hash",
        ),
    )
    objects.create_trigger(
        "audit_user_account_associations",
        "user_account_associations",
        "AFTER INSERT OR DELETE OR UPDATE",
        "audit_trigger_function",
    )
    objects.create_trigger(
        "update_crewai_flow_state_extensions_updated_at",
        "crewai_flow_state_extensions",
        "BEFORE UPDATE",
        "update_updated_at",
    )
    objects.create_trigger(
        "audit_crewai_flow_state_extensions",
        "crewai_flow_state_extensions",
        "AFTER INSERT OR DELETE OR UPDATE",
        "audit_trigger_function",
    )
    objects.create_trigger("update_data_imports_updated_at", "data_imports", "BEFORE UPDATE", "update_updated_at")
    objects.create_trigger(
        "audit_data_imports", "data_imports", "AFTER INSERT OR DELETE OR UPDATE", "audit_trigger_function"
    )
    objects.create_trigger("update_discovery_flows_updated_at", "discovery_flows", "BEFORE UPDATE", "update_updated_at")
    objects.create_trigger(
        "audit_discovery_flows", "discovery_flows", "AFTER INSERT OR DELETE OR UPDATE", "audit_trigger_function"
    )
    objects.create_trigger("update_assets_updated_at", "assets", "BEFORE UPDATE", "update_updated_at")
    objects.create_trigger("audit_assets", "assets", "AFTER INSERT OR DELETE OR UPDATE", "audit_trigger_function")
    objects.create_trigger("update_agent_memory_updated_at", "agent_memory", "BEFORE UPDATE", "update_updated_at")
    objects.create_trigger(
        "audit_agent_memory", "agent_memory", "AFTER INSERT OR DELETE OR UPDATE", "audit_trigger_function"
    )
    objects.create_trigger(
        "audit_agent_task_history", "agent_task_history", "AFTER INSERT OR DELETE OR UPDATE", "audit_trigger_function"
    )
    objects.create_trigger(
        "update_collection_flows_updated_at", "collection_flows", "BEFORE UPDATE", "update_updated_at"
    )
    objects.create_trigger(
        "audit_collection_flows", "collection_flows", "AFTER INSERT OR DELETE OR UPDATE", "audit_trigger_function"
    )
    objects.create_trigger(
        "update_assessment_flows_updated_at", "assessment_flows", "BEFORE UPDATE", "update_updated_at"
    )
    objects.create_trigger(
        "audit_assessment_flows", "assessment_flows", "AFTER INSERT OR DELETE OR UPDATE", "audit_trigger_function"
    )
    objects.create_trigger(
        "audit_sixr_analysis", "sixr_analysis", "AFTER INSERT OR DELETE OR UPDATE", "audit_trigger_function"
    )


def downgrade() -> None:
    objects.drop_trigger("audit_sixr_analysis", "sixr_analysis")
    objects.drop_trigger("audit_assessment_flows", "assessment_flows")
    objects.drop_trigger("update_assessment_flows_updated_at", "assessment_flows")
    objects.drop_trigger("audit_collection_flows", "collection_flows")
    objects.drop_trigger("update_collection_flows_updated_at", "collection_flows")
    objects.drop_trigger("audit_agent_task_history", "agent_task_history")
    objects.drop_trigger("audit_agent_memory", "agent_memory")
    objects.drop_trigger("update_agent_memory_updated_at", "agent_memory")
    objects.drop_trigger("audit_assets", "assets")
    objects.drop_trigger("update_assets_updated_at", "assets")
    objects.drop_trigger("audit_discovery_flows", "discovery_flows")
    objects.drop_trigger("update_discovery_flows_updated_at", "discovery_flows")
    objects.drop_trigger("audit_data_imports", "data_imports")
    objects.drop_trigger("update_data_imports_updated_at", "data_imports")
    objects.drop_trigger("audit_crewai_flow_state_extensions", "crewai_flow_state_extensions")
    objects.drop_trigger("update_crewai_flow_state_extensions_updated_at", "crewai_flow_state_extensions")
    objects.drop_trigger("audit_user_account_associations", "user_account_associations")
    objects.drop_trigger("audit_users", "users")
    objects.drop_trigger("update_users_updated_at", "users")
    objects.drop_trigger("audit_engagements", "engagements")
    objects.drop_trigger("update_engagements_updated_at", "engagements")
    objects.drop_trigger("audit_client_accounts", "client_accounts")
    objects.drop_trigger("update_client_accounts_updated_at", "client_accounts")
    op.execute("DROP FUNCTION update_updated_at()")
    op.execute("DROP FUNCTION audit_trigger_function()")
