extension OpenAPI {
    /// The shapes of teams, usage, limits and runs.
    static let usageSchemas = #"""
          "Period": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$", "description": "A UTC month, such as 2026-11"},
          "Bytes": {"type": "integer", "minimum": 0, "maximum": 9007199254740992},
          "Level": {"type": "string", "enum": ["ok", "warning", "critical", "exceeded"]},
          "Resource": {"type": "string", "enum": ["members", "projects", "cpu", "memory_mb", "custom_domains", "teams"]},
          "TeamFields": {
           "type": "object", "required": ["name", "owner"],
           "properties": {
            "name": \#(needed(200)), "owner": \#(needed(200)), "language": {"$ref": "#/components/schemas/MayLanguage"}
           }
          },
          "Team": {
           "type": "object",
           "properties": {
            "id": {"type": "string"}, "name": {"type": "string"}, "owner": {"type": "string"},
            "language": {"$ref": "#/components/schemas/Language"}, "created_at": {"$ref": "#/components/schemas/Time"}
           }
          },
          "Teams": {
           "type": "object",
           "properties": {
            "teams": {"type": "array", "items": {"$ref": "#/components/schemas/Team"}}, "next": {"type": ["string", "null"]}
           }
          },
          "WholeTeam": {
           "type": "object",
           "properties": {
            "id": {"type": "string"}, "name": {"type": "string"}, "owner": {"type": "string"},
            "language": {"$ref": "#/components/schemas/Language"}, "created_at": {"$ref": "#/components/schemas/Time"},
            "plan": {"$ref": "#/components/schemas/Plan"},
            "subscription": {
             "type": ["object", "null"],
             "properties": {
              "plan": {"type": "string"}, "version": {"type": "integer"}, "status": {"type": "string", "enum": ["active", "grace", "ended"]},
              "period_start": {"$ref": "#/components/schemas/Time"}, "renews_at": {"$ref": "#/components/schemas/Time"},
              "grace_ends_at": {"$ref": "#/components/schemas/Time"},
              "next_plan": {"type": ["string", "null"], "description": "The plan after this period, where another one is wanted"}
             }
            },
            "members": {"type": "array", "items": {"$ref": "#/components/schemas/Member"}},
            "projects": {"type": "array", "items": {"$ref": "#/components/schemas/Project"}},
            "uses": {
             "type": "object", "description": "By resource",
             "additionalProperties": {"type": "object", "properties": {"used": {"type": "number"}, "max": {"type": "number"}}}
            },
            "over_limits": {"type": "array", "items": {"$ref": "#/components/schemas/Allowance"}}
           }
          },
          "Plan": {
           "type": "object", "description": "-1 is unlimited; GB = 1024^3 bytes, MB = 1024^2",
           "properties": {
            "id": {"type": "string", "description": "free, pay_as_you_go (shown as Pro)"}, "name": {"type": "string"},
            "version": {"type": "integer"}, "max_teams": {"type": "integer"}, "max_members": {"type": "integer"},
            "max_projects": {"type": "integer"}, "max_cpu": {"type": "number"}, "max_memory_mb": {"type": "integer"},
            "max_traffic_gb_per_month": {"type": "number"}, "max_storage_mb": {"type": "number"}, "custom_domains": {"type": "boolean"},
            "price": {"type": "number"}, "currency": {"$ref": "#/components/schemas/Currency"}, "period_months": {"type": "integer"}
           }
          },
          "MemberFields": {
           "type": "object", "required": ["name"],
           "properties": {
            "name": \#(needed(200)), "language": {"$ref": "#/components/schemas/MayLanguage"},
            "role": {"type": ["string", "null"], "enum": ["owner", "member", "", null], "default": "member"},
            "gets_alerts": {"type": ["boolean", "null"], "default": true}
           }
          },
          "Member": {
           "type": "object",
           "properties": {
            "team": {"type": "string"}, "email": {"type": "string"}, "name": {"type": "string"},
            "language": {"$ref": "#/components/schemas/Language"}, "role": {"type": "string", "enum": ["owner", "member"]},
            "gets_alerts": {"type": "boolean"}, "created_at": {"$ref": "#/components/schemas/Time"}
           }
          },
          "ProjectFields": {
           "type": "object",
           "properties": {
            "name": \#(text(200)),
            "cpu": {"type": ["number", "string", "null"], "description": "At most 3 places", "minimum": 0, "maximum": 1000000, "default": 0},
            "memory_mb": {"type": ["integer", "null"], "minimum": 0, "maximum": 1000000000, "default": 0},
            "custom_domains": {"type": ["integer", "null"], "minimum": 0, "maximum": 1000000000, "default": 0}
           }
          },
          "Project": {
           "type": "object",
           "properties": {
            "id": {"type": "string"}, "team": {"type": "string"}, "name": {"type": "string"}, "cpu": {"type": "number"},
            "memory_mb": {"type": "integer"}, "custom_domains": {"type": "integer"}, "created_at": {"$ref": "#/components/schemas/Time"}
           }
          },
          "PageLink": {
           "type": "object", "properties": {"url": {"type": "string", "format": "uri"}, "expires_at": {"$ref": "#/components/schemas/Time"}}
          },
          "Allowance": {
           "type": "object",
           "properties": {
            "allowed": {"type": "boolean"}, "resource": {"$ref": "#/components/schemas/Resource"},
            "limit": {"type": "string", "description": "max_members, max_projects, max_cpu, max_memory_mb, custom_domains, max_teams"},
            "team": {"type": "string"}, "used": {"type": "number"}, "adding": {"type": "number"},
            "max": {"type": "number", "description": "-1 is unlimited"}, "unit": {"type": "string"}, "detail": {"type": "string"}
           }
          },
          "LimitCheck": {
           "type": "object",
           "properties": {
            "limit": {"type": "string", "enum": ["max_traffic_gb_per_month", "max_storage_mb"]},
            "metric": {"type": "string", "enum": ["traffic", "storage"]}, "used": {"$ref": "#/components/schemas/Bytes"},
            "allowed": {"type": "integer", "description": "In bytes; -1 is unlimited"}, "unit": {"type": "string", "enum": ["bytes"]},
            "team": {"type": "string", "description": "In refusals"}, "project": {"type": "string", "description": "In refusals"},
            "detail": {"type": "string", "description": "In refusals"}
           }
          },
          "ProjectAllowance": {
           "type": "object",
           "properties": {
            "allowed": {"type": "boolean"}, "project": {"type": "string"}, "team": {"type": "string"},
            "as_of": {"$ref": "#/components/schemas/Time"}, "max_age_ms": {"type": "integer"},
            "checks": {"type": "array", "items": {"$ref": "#/components/schemas/LimitCheck"}},
            "storage": {
             "type": "object", "properties": {"measured_at": {"$ref": "#/components/schemas/Time"}, "stale": {"type": "boolean"}}
            },
            "refusals": {"type": "array", "items": {"$ref": "#/components/schemas/LimitCheck"}}
           }
          },
          "ProjectUsage": {
           "type": "object",
           "properties": {
            "id": {"type": "string"}, "project_id": {"type": "string"}, "month": {"type": "integer", "minimum": 1, "maximum": 12},
            "year": {"type": "integer"}, "traffic_bytes": {"$ref": "#/components/schemas/Bytes"},
            "storage_bytes": {"$ref": "#/components/schemas/Bytes"}, "created_at": {"$ref": "#/components/schemas/Time"},
            "updated_at": {"$ref": "#/components/schemas/Time"}, "storage_measured_at": {"$ref": "#/components/schemas/Time"},
            "storage_stale": {"type": "boolean"}
           }
          },
          "MetricUse": {
           "type": "object",
           "properties": {
            "limit": {"type": "string"}, "bytes": {"$ref": "#/components/schemas/Bytes"}, "mb": {"type": "number"}, "gb": {"type": "number"},
            "limit_bytes": {"type": "integer", "description": "-1 is unlimited"}, "percent": {"type": ["integer", "null"]},
            "level": {"$ref": "#/components/schemas/Level"}, "measured_at": {"$ref": "#/components/schemas/Time"},
            "stale": {"type": ["boolean", "null"]}, "unknown_items": {"type": ["integer", "null"]}
           }
          },
          "TeamUsage": {
           "type": "object",
           "properties": {
            "team": {"type": "string"}, "plan": {"$ref": "#/components/schemas/Plan"}, "period": {"$ref": "#/components/schemas/Period"},
            "year": {"type": "integer"}, "month": {"type": "integer"}, "traffic": {"$ref": "#/components/schemas/MetricUse"},
            "storage": {"$ref": "#/components/schemas/MetricUse"}, "level": {"$ref": "#/components/schemas/Level"},
            "projects": {"type": "array", "items": {"$ref": "#/components/schemas/ProjectUsage"}}
           }
          },
          "UsagePoint": {
           "type": "object",
           "properties": {
            "period": {"$ref": "#/components/schemas/Period"}, "year": {"type": "integer"}, "month": {"type": "integer"},
            "date": {"type": "string", "format": "date"}, "traffic_bytes": {"$ref": "#/components/schemas/Bytes"},
            "storage_bytes": {"type": ["integer", "null"], "description": "Null when it was not measured"}
           }
          },
          "UsageHistory": {
           "type": "object",
           "properties": {
            "team": {"type": "string"}, "months": {"type": "array", "items": {"$ref": "#/components/schemas/UsagePoint"}},
            "days": {"type": "array", "items": {"$ref": "#/components/schemas/UsagePoint"}}
           }
          },
          "MeasuredStorage": {
           "type": "object", "required": ["bytes"],
           "properties": {"bytes": {"$ref": "#/components/schemas/Bytes"}, "measured_at": {"$ref": "#/components/schemas/Time"}}
          },
          "StorageGauge": {
           "type": "object",
           "properties": {
            "project": {"type": "string"}, "taken": {"type": "boolean", "description": "False when a newer measurement is known"},
            "storage_bytes": {"$ref": "#/components/schemas/Bytes"}, "measured_at": {"$ref": "#/components/schemas/Time"},
            "stale": {"type": "boolean"}
           }
          },
          "CronEntry": {
           "type": "object",
           "properties": {
            "entry": {"type": "string"}, "schedule": {"type": "string", "description": "Five fields, as crontab has them"},
            "zone": {"type": "string", "description": "By whose clocks, a name of the time zone database"},
            "catch_up": {"type": "string", "description": "After a downtime: none, latest or all(n)"},
            "overlap": {"type": "string", "enum": ["allow", "skip", "queue-one"]}, "summary": {"type": "string"}, "paused": {"type": "boolean"},
            "last_tick": {"type": ["string", "null"]}, "last_outcome": {"type": ["string", "null"]},
            "last_detail": {"type": ["string", "null"]}, "next": {"$ref": "#/components/schemas/Time"}
           }
          },
          "CronEntries": {
           "type": "object", "properties": {"entries": {"type": "array", "items": {"$ref": "#/components/schemas/CronEntry"}}}
          },
          "CronTicks": {
           "type": "object",
           "properties": {
            "entry": {"type": "string"}, "zone": {"type": "string"},
            "next": {
             "type": "array",
             "items": {
              "type": "object",
              "properties": {
               "tick": {"type": "string"}, "at": {"$ref": "#/components/schemas/Time"},
               "local": {"type": "string", "format": "date-time", "description": "By the zone's clock"}
              }
             }
            }
           }
          },
          "CronAnswer": {
           "type": "object",
           "properties": {
            "entry": {"type": "string"}, "tick": {"type": ["string", "null"]},
            "result": {"type": "string", "enum": ["done", "already done", "skipped", "nothing due", "failed"]}, "detail": {"type": ["string", "null"]},
            "run": {
             "type": ["object", "null"],
             "properties": {
              "outcome": {"type": "string", "enum": ["running", "done", "failed"]}, "items": {"type": "integer"},
              "errors": {"type": "integer"}, "duration_ms": {"type": ["integer", "null"]}, "detail": {"type": "string"}
             }
            }
           }
          },
        """#
}
