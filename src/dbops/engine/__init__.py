"""How any plan is run: plans as data, locks, journals, stops. Knows no store."""
