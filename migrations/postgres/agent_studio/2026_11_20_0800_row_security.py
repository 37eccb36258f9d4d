"""Row security: who sees which rows"""

from alembic import op

from dbops.operations.migrate import objects

revision = "2026_11_20_0800"
down_revision = "2026_11_20_0700"

APP_USER_WORKSPACES = """CREATE FUNCTION app_user_workspaces(roles TEXT[] DEFAULT ARRAY['owner', 'admin', 'member', 'viewer'])
RETURNS SETOF UUID
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
AS $$
    SELECT workspace_id
    FROM public.workspace_members
    WHERE user_id = NULLIF(current_setting('app.current_user_id', true), '')::UUID
      AND role = ANY (roles)
$$"""


def upgrade() -> None:
    op.execute(APP_USER_WORKSPACES)
    objects.enable_row_security("workspaces", "agents", "tools", "agent_tools", "audit_logs", "workflows")
    objects.enable_row_security("workspace_members", force=False)
    objects.create_policy(
        "agent_tools_workspace_isolation",
        "agent_tools",
        using="""agent_id IN ( SELECT agents.agent_id
       FROM agents
      WHERE (agents.workspace_id IN ( SELECT app_user_workspaces() AS app_user_workspaces)))""",
    )
    objects.create_policy(
        "workspace_isolation",
        "agents",
        using="""workspace_id IN ( SELECT workspace_members.workspace_id
       FROM workspace_members
      WHERE (workspace_members.user_id = (NULLIF(current_setting('app.current_user_id'::text, true), ''::text))::uuid))""",
    )
    objects.create_policy(
        "audit_logs_workspace_insert",
        "audit_logs",
        command="INSERT",
        check="(workspace_id IS NULL) OR (workspace_id IN ( SELECT app_user_workspaces() AS app_user_workspaces))",
    )
    objects.create_policy(
        "audit_logs_workspace_read",
        "audit_logs",
        command="SELECT",
        using="""workspace_id IN ( SELECT workspace_members.workspace_id
       FROM workspace_members
      WHERE (workspace_members.user_id = (NULLIF(current_setting('app.current_user_id'::text, true), ''::text))::uuid))""",
    )
    objects.create_policy(
        "tools_workspace_isolation",
        "tools",
        using="(workspace_id IS NULL) OR (workspace_id IN ( SELECT app_user_workspaces() AS app_user_workspaces))",
        check="workspace_id IN ( SELECT app_user_workspaces() AS app_user_workspaces)",
    )
    objects.create_policy(
        "workflows_workspace_isolation",
        "workflows",
        using="workspace_id IN ( SELECT app_user_workspaces() AS app_user_workspaces)",
    )
    objects.create_policy(
        "workspace_members_delete",
        "workspace_members",
        command="DELETE",
        using="workspace_id IN ( SELECT app_user_workspaces(ARRAY['owner'::text, 'admin'::text]) AS app_user_workspaces)",
    )
    objects.create_policy(
        "workspace_members_insert",
        "workspace_members",
        command="INSERT",
        check="""(workspace_id IN ( SELECT app_user_workspaces(ARRAY['owner'::text, 'admin'::text]) AS app_user_workspaces)) OR (EXISTS ( SELECT 1
       FROM workspaces w
      WHERE ((w.workspace_id = workspace_members.workspace_id) AND (w.owner_id = (NULLIF(current_setting('app.current_user_id'::text, true), ''::text))::uuid))))""",
    )
    objects.create_policy(
        "workspace_members_read",
        "workspace_members",
        command="SELECT",
        using="workspace_id IN ( SELECT app_user_workspaces() AS app_user_workspaces)",
    )
    objects.create_policy(
        "workspace_members_update",
        "workspace_members",
        command="UPDATE",
        using="workspace_id IN ( SELECT app_user_workspaces(ARRAY['owner'::text, 'admin'::text]) AS app_user_workspaces)",
    )
    objects.create_policy(
        "workspaces_member_access",
        "workspaces",
        using="(owner_id = (NULLIF(current_setting('app.current_user_id'::text, true), ''::text))::uuid) OR (workspace_id IN ( SELECT app_user_workspaces() AS app_user_workspaces))",
    )


def downgrade() -> None:
    objects.drop_policy("workspaces_member_access", "workspaces")
    objects.drop_policy("workspace_members_update", "workspace_members")
    objects.drop_policy("workspace_members_read", "workspace_members")
    objects.drop_policy("workspace_members_insert", "workspace_members")
    objects.drop_policy("workspace_members_delete", "workspace_members")
    objects.drop_policy("workflows_workspace_isolation", "workflows")
    objects.drop_policy("tools_workspace_isolation", "tools")
    objects.drop_policy("audit_logs_workspace_read", "audit_logs")
    objects.drop_policy("audit_logs_workspace_insert", "audit_logs")
    objects.drop_policy("workspace_isolation", "agents")
    objects.drop_policy("agent_tools_workspace_isolation", "agent_tools")
    objects.disable_row_security(
        "workspaces", "agents", "tools", "agent_tools", "audit_logs", "workflows", "workspace_members"
    )
    op.execute("DROP FUNCTION app_user_workspaces(text[])")
