"""Views for dashboards."""

from dbops.operations.migrate import objects

revision = "2026_11_20_1000"
down_revision = "2026_11_20_0900"

COMPLIANCE_DASHBOARD = """SELECT
    r.tenant_id,
    r.subscription_id,
    r.resource_group_name,
    r.type as resource_type,
    COUNT(pe.id) as total_evaluations,
    COUNT(CASE WHEN pe.result = 'compliant' THEN 1 END) as compliant_count,
    COUNT(CASE WHEN pe.result = 'non_compliant' THEN 1 END) as non_compliant_count,
    COUNT(CASE WHEN pe.result = 'warning' THEN 1 END) as warning_count,
    ROUND(
        COUNT(CASE WHEN pe.result = 'compliant' THEN 1 END)::decimal /
        NULLIF(COUNT(pe.id), 0) * 100, 2
    ) as compliance_percentage,
    MAX(pe.evaluated_at) as last_evaluated
FROM resources r
LEFT JOIN (
    SELECT DISTINCT ON (policy_id, resource_id) id, policy_id, resource_id, result, evaluated_at
    FROM policy_evaluations
    WHERE evaluated_at IS NOT NULL
    -- the index of UNIQUE (policy_id, resource_id, evaluated_at), read backwards
    ORDER BY policy_id DESC, resource_id DESC, evaluated_at DESC
) pe ON r.id = pe.resource_id
WHERE r.deleted_at IS NULL
GROUP BY r.tenant_id, r.subscription_id, r.resource_group_name, r.type"""

RESOURCE_INSIGHTS = """SELECT
    r.id as resource_id,
    r.name as resource_name,
    r.type as resource_type,
    r.subscription_id,
    r.resource_group_name,
    r.location,

    -- Compliance metrics
    COALESCE(comp.compliance_score, 0) as compliance_score,
    COALESCE(comp.total_policies, 0) as total_policies,
    COALESCE(comp.compliant_policies, 0) as compliant_policies,

    -- Cost metrics
    COALESCE(costs.monthly_cost, 0) as monthly_cost,
    COALESCE(costs.daily_average, 0) as daily_average_cost,

    -- Security metrics
    COALESCE(security.critical_alerts, 0) as critical_security_alerts,
    COALESCE(security.high_alerts, 0) as high_security_alerts,

    -- AI insights
    COALESCE(ai.insight_count, 0) as ai_insights_count,
    COALESCE(ai.high_confidence_insights, 0) as high_confidence_insights,

    r.updated_at as last_synced
FROM resources r

-- Compliance subquery
LEFT JOIN (
    SELECT
        pe.resource_id,
        ROUND(AVG(CASE WHEN pe.result = 'compliant' THEN 100 ELSE 0 END), 2) as compliance_score,
        COUNT(*) as total_policies,
        COUNT(CASE WHEN pe.result = 'compliant' THEN 1 END) as compliant_policies
    FROM (
        SELECT DISTINCT ON (policy_id, resource_id) policy_id, resource_id, result
        FROM policy_evaluations
        WHERE evaluated_at IS NOT NULL
        -- the index of UNIQUE (policy_id, resource_id, evaluated_at), read backwards
    ORDER BY policy_id DESC, resource_id DESC, evaluated_at DESC
    ) pe
    GROUP BY pe.resource_id
) comp ON r.id = comp.resource_id

-- Cost subquery
LEFT JOIN (
    SELECT
        cd.resource_id,
        SUM(CASE WHEN cd.date >= CURRENT_DATE - INTERVAL '30 days' THEN cd.cost ELSE 0 END) as monthly_cost,
        AVG(cd.cost) as daily_average
    FROM cost_data cd
    WHERE cd.date >= CURRENT_DATE - INTERVAL '90 days'
    GROUP BY cd.resource_id
) costs ON r.id = costs.resource_id

-- Security subquery
LEFT JOIN (
    SELECT
        se.resource_id,
        COUNT(CASE WHEN se.severity = 'critical' AND NOT se.resolved THEN 1 END) as critical_alerts,
        COUNT(CASE WHEN se.severity = 'high' AND NOT se.resolved THEN 1 END) as high_alerts
    FROM security_events se
    WHERE se.detected_at >= CURRENT_DATE - INTERVAL '30 days'
    GROUP BY se.resource_id
) security ON r.id = security.resource_id

-- AI insights subquery
LEFT JOIN (
    SELECT
        ai.resource_id,
        COUNT(*) as insight_count,
        COUNT(CASE WHEN ai.confidence >= 0.8 THEN 1 END) as high_confidence_insights
    FROM ai_insights ai
    WHERE ai.expires_at IS NULL OR ai.expires_at > NOW()
    GROUP BY ai.resource_id
) ai ON r.id = ai.resource_id

WHERE r.deleted_at IS NULL"""

POLICY_EFFECTIVENESS = """SELECT
    p.id as policy_id,
    p.name as policy_name,
    p.type as policy_type,
    p.category,
    p.severity,

    COUNT(pe.id) as total_evaluations,
    COUNT(CASE WHEN pe.result = 'compliant' THEN 1 END) as compliant_count,
    COUNT(CASE WHEN pe.result = 'non_compliant' THEN 1 END) as non_compliant_count,

    ROUND(
        COUNT(CASE WHEN pe.result = 'compliant' THEN 1 END)::decimal /
        NULLIF(COUNT(pe.id), 0) * 100, 2
    ) as compliance_rate,

    AVG(pe.execution_time_ms) as avg_execution_time,
    MAX(pe.evaluated_at) as last_evaluation,

    -- Count of remediation actions triggered by this policy
    COALESCE(SUM(a.action_count), 0)::bigint as remediation_actions_triggered,

    p.created_at,
    p.updated_at

FROM policies p
LEFT JOIN policy_evaluations pe ON p.id = pe.policy_id
LEFT JOIN (
    SELECT policy_evaluation_id, COUNT(*) as action_count
    FROM actions
    GROUP BY policy_evaluation_id
) a ON pe.id = a.policy_evaluation_id
WHERE p.deleted_at IS NULL AND p.enabled = TRUE
GROUP BY p.id, p.name, p.type, p.category, p.severity, p.created_at, p.updated_at"""

COST_OPTIMIZATION_OPPORTUNITIES = """SELECT
    r.id as resource_id,
    r.name as resource_name,
    r.type as resource_type,
    r.subscription_id,
    r.resource_group_name,

    cd.monthly_cost,
    cd.usage_percentage,

    -- Potential savings based on utilization
    CASE
        WHEN cd.usage_percentage < 0.2 THEN cd.monthly_cost * 0.8
        WHEN cd.usage_percentage < 0.5 THEN cd.monthly_cost * 0.3
        ELSE 0
    END as potential_monthly_savings,

    -- Optimization recommendations
    CASE
        WHEN cd.usage_percentage IS NULL THEN 'No usage data'
        WHEN cd.usage_percentage < 0.2 THEN 'Consider downsizing or shutting down'
        WHEN cd.usage_percentage < 0.5 THEN 'Consider rightsizing to smaller SKU'
        WHEN cd.usage_percentage > 0.9 THEN 'Consider scaling up for better performance'
        ELSE 'Resource utilization is optimal'
    END as recommendation,

    ai.confidence as ai_confidence,
    ai.generated_at as analysis_date

FROM resources r
JOIN (
    SELECT
        u.resource_id,
        SUM(u.cost) as monthly_cost,
        -- mean / peak of the metered quantities per service and unit, weighted by cost; NULL where nothing is metered
        (SUM(u.cost * u.load_factor)
            / NULLIF(SUM(u.cost) FILTER (WHERE u.load_factor IS NOT NULL), 0))::double precision as usage_percentage
    FROM (
        SELECT resource_id, service_name, usage_unit, SUM(cost) as cost,
               AVG(usage_quantity) / NULLIF(MAX(usage_quantity), 0) as load_factor
        FROM cost_data
        WHERE date >= CURRENT_DATE - INTERVAL '30 days'
        GROUP BY resource_id, service_name, usage_unit
    ) u
    GROUP BY u.resource_id
) cd ON r.id = cd.resource_id
LEFT JOIN ai_insights ai ON r.id = ai.resource_id
    AND ai.insight_type = 'cost_optimization'
    AND (ai.expires_at IS NULL OR ai.expires_at > NOW())
WHERE r.deleted_at IS NULL
    AND cd.monthly_cost > 10  -- Only show resources with meaningful cost
ORDER BY potential_monthly_savings DESC"""


def upgrade() -> None:
    objects.create_view("compliance_dashboard", COMPLIANCE_DASHBOARD)
    objects.create_view("resource_insights", RESOURCE_INSIGHTS)
    objects.create_view("policy_effectiveness", POLICY_EFFECTIVENESS)
    objects.create_view("cost_optimization_opportunities", COST_OPTIMIZATION_OPPORTUNITIES)


def downgrade() -> None:
    objects.drop_views(
        "compliance_dashboard", "resource_insights", "policy_effectiveness", "cost_optimization_opportunities"
    )
