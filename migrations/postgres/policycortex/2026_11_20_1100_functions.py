"""Functions that dashboards ask."""

from alembic import op

revision = "2026_11_20_1100"
down_revision = "2026_11_20_1000"

GET_RESOURCE_COMPLIANCE_SCORE = """CREATE FUNCTION get_resource_compliance_score(resource_uuid UUID)
RETURNS DECIMAL(5,2) AS $$
DECLARE
    compliance_score DECIMAL(5,2);
BEGIN
    SELECT
        ROUND(
            AVG(CASE WHEN pe.result = 'compliant' THEN 100 ELSE 0 END), 2
        ) INTO compliance_score
    FROM (
        SELECT DISTINCT ON (policy_id) result
        FROM policy_evaluations
        WHERE resource_id = resource_uuid AND evaluated_at IS NOT NULL
        ORDER BY policy_id, evaluated_at DESC
    ) pe;

    RETURN COALESCE(compliance_score, 0);
END;
$$ LANGUAGE plpgsql"""

GET_COMPLIANCE_TREND = """CREATE FUNCTION get_compliance_trend(
    tenant_uuid UUID,
    days_back INTEGER DEFAULT 30
)
RETURNS TABLE(
    date DATE,
    total_evaluations BIGINT,
    compliant_count BIGINT,
    compliance_rate DECIMAL(5,2)
) AS $$
BEGIN
    RETURN QUERY
    SELECT
        pe.evaluated_at::date as date,
        COUNT(*) as total_evaluations,
        COUNT(CASE WHEN pe.result = 'compliant' THEN 1 END) as compliant_count,
        ROUND(
            COUNT(CASE WHEN pe.result = 'compliant' THEN 1 END)::decimal /
            COUNT(*) * 100, 2
        ) as compliance_rate
    FROM policy_evaluations pe
    WHERE pe.tenant_id = tenant_uuid
        AND pe.evaluated_at >= CURRENT_DATE - INTERVAL '1 day' * days_back
    GROUP BY pe.evaluated_at::date
    ORDER BY date;
END;
$$ LANGUAGE plpgsql"""

CALCULATE_POLICY_IMPACT_SCORE = """CREATE FUNCTION calculate_policy_impact_score(policy_uuid UUID)
RETURNS DECIMAL(5,2) AS $$
DECLARE
    impact_score DECIMAL(5,2);
    severity_weight DECIMAL(3,2);
    compliance_rate DECIMAL(5,2);
    resource_count INTEGER;
BEGIN
    -- Get policy severity weight
    SELECT
        CASE
            WHEN severity = 'critical' THEN 1.0
            WHEN severity = 'high' THEN 0.8
            WHEN severity = 'medium' THEN 0.6
            WHEN severity = 'low' THEN 0.4
            ELSE 0.2
        END INTO severity_weight
    FROM policies
    WHERE id = policy_uuid;

    -- Get compliance statistics
    SELECT
        ROUND(
            COUNT(CASE WHEN pe.result = 'non_compliant' THEN 1 END)::decimal /
            NULLIF(COUNT(*), 0) * 100, 2
        ),
        COUNT(*)
    INTO compliance_rate, resource_count
    FROM (
        SELECT DISTINCT ON (resource_id) result
        FROM policy_evaluations
        WHERE policy_id = policy_uuid AND evaluated_at IS NOT NULL
        ORDER BY resource_id, evaluated_at DESC
    ) pe;

    -- Calculate impact score: (non-compliance rate) * severity weight * log(resource count)
    impact_score = COALESCE(compliance_rate, 0) * COALESCE(severity_weight, 0.5) *
                   CASE WHEN resource_count > 0 THEN LOG(resource_count + 1) ELSE 0 END;

    RETURN ROUND(impact_score, 2);
END;
$$ LANGUAGE plpgsql"""


def upgrade() -> None:
    op.execute(GET_RESOURCE_COMPLIANCE_SCORE)
    op.execute(GET_COMPLIANCE_TREND)
    op.execute(CALCULATE_POLICY_IMPACT_SCORE)


def downgrade() -> None:
    op.execute("DROP FUNCTION calculate_policy_impact_score(uuid)")
    op.execute("DROP FUNCTION get_compliance_trend(uuid,integer)")
    op.execute("DROP FUNCTION get_resource_compliance_score(uuid)")
