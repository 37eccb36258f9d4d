"""Extensions, enum types, and the function that tags are indexed by."""

from dbops.operations.migrate import attic, objects

revision = "2026_11_20_0100"
down_revision = None

JSONB_KEYS_ARRAY = """CREATE FUNCTION jsonb_keys_array(j jsonb)
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT ARRAY(SELECT jsonb_object_keys(j)) $$"""


def upgrade() -> None:
    objects.create_extensions("uuid-ossp", "pgcrypto", "pg_trgm", "btree_gin")
    attic.create_enum(
        "resource_type",
        "virtual_machine",
        "storage_account",
        "sql_database",
        "app_service",
        "function_app",
        "key_vault",
        "network_security_group",
        "load_balancer",
        "virtual_network",
        "public_ip",
        "network_interface",
        "disk",
        "availability_set",
        "scale_set",
    )
    attic.create_enum(
        "policy_type", "security", "compliance", "cost_optimization", "performance", "governance", "finops"
    )
    attic.create_enum("severity_level", "critical", "high", "medium", "low", "info")
    attic.create_enum("evaluation_status", "pending", "evaluating", "completed", "failed", "skipped")
    attic.create_enum("evaluation_result", "compliant", "non_compliant", "warning", "unknown", "not_applicable")
    attic.create_enum("execution_status", "pending", "running", "completed", "failed", "cancelled", "rolled_back")
    attic.create_function("jsonb_keys_array(jsonb)", JSONB_KEYS_ARRAY)


def downgrade() -> None:
    attic.store_function("jsonb_keys_array(jsonb)")
    attic.store_enums(
        "resource_type", "policy_type", "severity_level", "evaluation_status", "evaluation_result", "execution_status"
    )
