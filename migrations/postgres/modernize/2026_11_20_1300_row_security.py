"""Row security: who sees which rows"""

from dbops.operations.migrate import objects

revision = "2026_11_20_1300"
down_revision = "2026_11_20_1200"


def upgrade() -> None:
    objects.enable_row_security(
        "engagements",
        "user_account_associations",
        "crewai_flow_state_extensions",
        "data_imports",
        "discovery_flows",
        "assets",
        "agent_memory",
        "agent_task_history",
        "collection_flows",
        "assessment_flows",
        "sixr_analysis",
        "audit_log",
    )
    objects.create_policy(
        "tenant_isolation_agent_memory",
        "agent_memory",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )
    objects.create_policy(
        "tenant_isolation_agent_task_history",
        "agent_task_history",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )
    objects.create_policy(
        "tenant_isolation_assessment_flows",
        "assessment_flows",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )
    objects.create_policy(
        "tenant_isolation_assets",
        "assets",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )
    objects.create_policy("audit_log_insert", "audit_log", command="INSERT", to=("application_user",), check="true")
    objects.create_policy(
        "tenant_isolation_audit_log",
        "audit_log",
        command="SELECT",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )
    objects.create_policy(
        "tenant_isolation_collection",
        "collection_flows",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )
    objects.create_policy(
        "tenant_isolation_crewai_flow_state_extensions",
        "crewai_flow_state_extensions",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )
    objects.create_policy(
        "tenant_isolation_data_imports",
        "data_imports",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )
    objects.create_policy(
        "tenant_isolation_discovery",
        "discovery_flows",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )
    objects.create_policy(
        "tenant_isolation_engagements",
        "engagements",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )
    objects.create_policy(
        "tenant_isolation_sixr_analysis",
        "sixr_analysis",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )
    objects.create_policy(
        "tenant_isolation_user_account_associations",
        "user_account_associations",
        to=("application_user",),
        using="client_account_id = (NULLIF(current_setting('app.current_client_id'::text, true), ''::text))::uuid",
    )


def downgrade() -> None:
    objects.drop_policy("tenant_isolation_user_account_associations", "user_account_associations")
    objects.drop_policy("tenant_isolation_sixr_analysis", "sixr_analysis")
    objects.drop_policy("tenant_isolation_engagements", "engagements")
    objects.drop_policy("tenant_isolation_discovery", "discovery_flows")
    objects.drop_policy("tenant_isolation_data_imports", "data_imports")
    objects.drop_policy("tenant_isolation_crewai_flow_state_extensions", "crewai_flow_state_extensions")
    objects.drop_policy("tenant_isolation_collection", "collection_flows")
    objects.drop_policy("tenant_isolation_audit_log", "audit_log")
    objects.drop_policy("audit_log_insert", "audit_log")
    objects.drop_policy("tenant_isolation_assets", "assets")
    objects.drop_policy("tenant_isolation_assessment_flows", "assessment_flows")
    objects.drop_policy("tenant_isolation_agent_task_history", "agent_task_history")
    objects.drop_policy("tenant_isolation_agent_memory", "agent_memory")
    objects.disable_row_security(
        "engagements",
        "user_account_associations",
        "crewai_flow_state_extensions",
        "data_imports",
        "discovery_flows",
        "assets",
        "agent_memory",
        "agent_task_history",
        "collection_flows",
        "assessment_flows",
        "sixr_analysis",
        "audit_log",
    )
