"""Row security: who sees which rows."""

from alembic import op

from dbops.operations.migrate import objects

revision = "2026_11_20_0800"
down_revision = "2026_11_20_0700"

APP_USER_WORKSPACES = """CREATE FUNCTION app_user_workspaces(
    roles TEXT[] DEFAULT ARRAY['owner', 'admin', 'member', 'viewer'])
RETURNS SETOF UUID
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public
AS $$
    SELECT workspace_id
    FROM public.workspace_members
    WHERE user_id = NULLIF(current_setting('app.current_user_id', true), '')::UUID
      AND role = ANY (roles)
$$"""


# Inside a policy, a plain query of workspace_members would be filtered by that table's own policies, and recurse.
MINE = "SELECT app_user_workspaces()"
MANAGED = "SELECT app_user_workspaces(ARRAY['owner', 'admin'])"
ME = "NULLIF(current_setting('app.current_user_id', true), '')::uuid"
MEMBER_OF = f"SELECT workspace_id FROM workspace_members WHERE user_id = {ME}"
OWN_NEW_WORKSPACE = f"""EXISTS (
    SELECT 1 FROM workspaces w WHERE w.workspace_id = workspace_members.workspace_id AND w.owner_id = {ME})"""


def upgrade() -> None:
    op.execute(APP_USER_WORKSPACES)
    objects.enable_row_security("workspaces", "agents", "tools", "agent_tools", "audit_logs", "workflows")
    # not forced: the function above reads it as its owner
    objects.enable_row_security("workspace_members", force=False)
    objects.create_policy(
        "workspaces_member_access", "workspaces", using=f"owner_id = {ME} OR workspace_id IN ({MINE})"
    )
    objects.create_policy(
        "workspace_members_read", "workspace_members", command="SELECT", using=f"workspace_id IN ({MINE})"
    )
    objects.create_policy(
        "workspace_members_insert",
        "workspace_members",
        command="INSERT",
        check=f"workspace_id IN ({MANAGED}) OR {OWN_NEW_WORKSPACE}",
    )
    objects.create_policy(
        "workspace_members_update", "workspace_members", command="UPDATE", using=f"workspace_id IN ({MANAGED})"
    )
    objects.create_policy(
        "workspace_members_delete", "workspace_members", command="DELETE", using=f"workspace_id IN ({MANAGED})"
    )
    objects.create_policy("workspace_isolation", "agents", using=f"workspace_id IN ({MEMBER_OF})")
    objects.create_policy(
        "tools_workspace_isolation",
        "tools",
        using=f"workspace_id IS NULL OR workspace_id IN ({MINE})",
        check=f"workspace_id IN ({MINE})",
    )
    objects.create_policy(
        "agent_tools_workspace_isolation",
        "agent_tools",
        using=f"agent_id IN (SELECT agent_id FROM agents WHERE workspace_id IN ({MINE}))",
    )
    objects.create_policy("workflows_workspace_isolation", "workflows", using=f"workspace_id IN ({MINE})")
    objects.create_policy(
        "audit_logs_workspace_read", "audit_logs", command="SELECT", using=f"workspace_id IN ({MEMBER_OF})"
    )
    objects.create_policy(
        "audit_logs_workspace_insert",
        "audit_logs",
        command="INSERT",
        check=f"workspace_id IS NULL OR workspace_id IN ({MINE})",
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
