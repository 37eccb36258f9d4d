"""Row security: the application sees the rows of one customer."""

from dbops.operations.migrate import objects

revision = "2026_11_20_1300"
down_revision = "2026_11_20_1200"

APPLICATION = ("application_user",)
# A setting that was never made, or has ended with its transaction, shows nothing instead of failing.
THIS_CLIENT = "client_account_id = NULLIF(current_setting('app.current_client_id', true), '')::uuid"
TENANT_POLICIES = {
    "engagements": "tenant_isolation_engagements",
    "user_account_associations": "tenant_isolation_user_account_associations",
    "crewai_flow_state_extensions": "tenant_isolation_crewai_flow_state_extensions",
    "data_imports": "tenant_isolation_data_imports",
    "discovery_flows": "tenant_isolation_discovery",
    "assets": "tenant_isolation_assets",
    "agent_memory": "tenant_isolation_agent_memory",
    "agent_task_history": "tenant_isolation_agent_task_history",
    "collection_flows": "tenant_isolation_collection",
    "assessment_flows": "tenant_isolation_assessment_flows",
    "sixr_analysis": "tenant_isolation_sixr_analysis",
}


def upgrade() -> None:
    objects.enable_row_security(*TENANT_POLICIES, "audit_log")
    for table, policy in TENANT_POLICIES.items():
        objects.create_policy(policy, table, to=APPLICATION, using=THIS_CLIENT)
    # The log takes rows of everybody, shows those of one customer, and changes none.
    objects.create_policy("audit_log_insert", "audit_log", command="INSERT", to=APPLICATION, check="true")
    objects.create_policy(
        "tenant_isolation_audit_log", "audit_log", command="SELECT", to=APPLICATION, using=THIS_CLIENT
    )


def downgrade() -> None:
    objects.drop_policy("tenant_isolation_audit_log", "audit_log")
    objects.drop_policy("audit_log_insert", "audit_log")
    for table, policy in reversed(TENANT_POLICIES.items()):
        objects.drop_policy(policy, table)
    objects.disable_row_security(*TENANT_POLICIES, "audit_log")
