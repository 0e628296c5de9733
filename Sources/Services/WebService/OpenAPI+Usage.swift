extension OpenAPI {
    /// The calls about teams, usage, limits and the scheduled entries.
    static let usagePaths = #"""
         "/api/teams": {
          "get": {
           "summary": "Teams by id, a page at a time", "security": [{"bearer": []}],
           "parameters": [
            {"name": "after", "in": "query", "description": "`next` of the page before", "schema": {"type": "string"}},
            {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}}
           ],
           "responses": {
            "200": {"description": "The teams", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Teams"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/teams/{team}": {
          "get": {
           "summary": "A team with members, projects, plan, subscription and the limits it passes", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/team"}],
           "responses": {
            "200": {"description": "The team", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WholeTeam"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          },
          "put": {
           "summary": "Enter a team or change it; one team too many of its owner is refused", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/team"}, {"$ref": "#/components/parameters/enforce"}],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TeamFields"}}}},
           "responses": {
            "200": {"description": "Changed", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WholeTeam"}}}},
            "201": {"description": "Entered", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WholeTeam"}}}},
            "403": {"$ref": "#/components/responses/OverLimit"}, "default": {"$ref": "#/components/responses/Problem"}
           }
          },
          "delete": {
           "summary": "Remove a team with its members and projects", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/team"}],
           "responses": {"204": {"description": "Removed"}, "default": {"$ref": "#/components/responses/Problem"}}
          }
         },
         "/api/teams/{team}/members/{email}": {
          "put": {
           "summary": "Enter a member or change one", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/team"}, {"$ref": "#/components/parameters/email"}, {"$ref": "#/components/parameters/enforce"}
           ],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MemberFields"}}}},
           "responses": {
            "200": {"description": "Changed", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Member"}}}},
            "201": {"description": "Entered", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Member"}}}},
            "403": {"$ref": "#/components/responses/OverLimit"}, "default": {"$ref": "#/components/responses/Problem"}
           }
          },
          "delete": {
           "summary": "Remove a member", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/team"}, {"$ref": "#/components/parameters/email"}],
           "responses": {"204": {"description": "Removed"}, "default": {"$ref": "#/components/responses/Problem"}}
          }
         },
         "/api/teams/{team}/projects/{project}": {
          "put": {
           "summary": "Enter a project or change one; what would pass a limit is refused", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/team"}, {"$ref": "#/components/parameters/project"}, {"$ref": "#/components/parameters/enforce"}
           ],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ProjectFields"}}}},
           "responses": {
            "200": {"description": "Changed", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Project"}}}},
            "201": {"description": "Entered", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Project"}}}},
            "403": {"$ref": "#/components/responses/OverLimit"}, "default": {"$ref": "#/components/responses/Problem"}
           }
          },
          "delete": {
           "summary": "Remove a project; what it used stays on record", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/team"}, {"$ref": "#/components/parameters/project"}],
           "responses": {"204": {"description": "Removed"}, "default": {"$ref": "#/components/responses/Problem"}}
          }
         },
         "/api/teams/{team}/page-link": {
          "post": {
           "summary": "A link to the team's page, good for an hour", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/team"}],
           "responses": {
            "201": {"description": "The link", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PageLink"}}}},
            "503": {"$ref": "#/components/responses/Problem"}, "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/teams/{team}/downgrade": {
          "post": {
           "summary": "Free when the team's period ends", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/team"}],
           "responses": {
            "200": {"description": "The team", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WholeTeam"}}}},
            "409": {"$ref": "#/components/responses/Problem"}, "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/teams/{team}/keep": {
          "post": {
           "summary": "The same plan again after its period, if it is paid", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/team"}],
           "responses": {
            "200": {"description": "The team", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WholeTeam"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/teams/{team}/allowed": {
          "get": {
           "summary": "Whether more of something fits under the team's plan", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/team"},
            {"name": "resource", "in": "query", "required": true, "schema": {"$ref": "#/components/schemas/Resource"}},
            {
             "name": "adding", "in": "query", "description": "How much more; for cpu a decimal with at most 3 places",
             "schema": {"type": "number", "minimum": 0, "default": 1}
            }
           ],
           "responses": {
            "200": {"description": "The answer", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Allowance"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/usage/{project}/allowed": {
          "get": {
           "summary": "Whether a project may go on: asked by gateways, answered from memory at most 5 seconds old",
           "security": [{"bearer": []}], "parameters": [{"$ref": "#/components/parameters/project"}],
           "responses": {
            "200": {
             "description": "The answer; Cache-Control and Age say how old it is",
             "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ProjectAllowance"}}}
            },
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/usage/{team}": {
          "get": {
           "summary": "What a team used in a month, under its plan", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/team"}, {"$ref": "#/components/parameters/period"}],
           "responses": {
            "200": {"description": "The usage", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TeamUsage"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/usage/{team}/history": {
          "get": {
           "summary": "A team's last months and days, oldest first", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/team"},
            {"name": "months", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 36, "default": 12}},
            {"name": "days", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 366, "default": 31}}
           ],
           "responses": {
            "200": {"description": "The history", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/UsageHistory"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/usage/{team}/export.csv": {
          "get": {
           "summary": "The months of a team's projects as CSV (RFC 4180)", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/team"},
            {"name": "from", "in": "query", "description": "First month; 11 before `to`", "schema": {"$ref": "#/components/schemas/Period"}},
            {"name": "to", "in": "query", "description": "Last month; the current one", "schema": {"$ref": "#/components/schemas/Period"}}
           ],
           "responses": {
            "200": {"description": "A file", "content": {"text/csv": {"schema": {"type": "string"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/usage/{team}/projects/{project}": {
          "get": {
           "summary": "What one project used in a month", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/team"}, {"$ref": "#/components/parameters/project"}, {"$ref": "#/components/parameters/period"}
           ],
           "responses": {
            "200": {"description": "The usage", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ProjectUsage"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/usage/{project}/storage": {
          "put": {
           "summary": "Tell a project's storage as it was measured elsewhere", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/project"}],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/MeasuredStorage"}}}},
           "responses": {
            "200": {"description": "How it stands", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/StorageGauge"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          },
          "delete": {
           "summary": "Forget what was told here of a project's storage", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/project"}],
           "responses": {"204": {"description": "Forgotten"}, "default": {"$ref": "#/components/responses/Problem"}}
          }
         },
         "/api/v1/cron/": {
          "get": {
           "summary": "The scheduled entries with their last and next tick", "security": [{"bearer": []}],
           "responses": {
            "200": {"description": "The entries", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CronEntries"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/cron/{entry}/next": {
          "get": {
           "summary": "When an entry is due next", "security": [{"bearer": []}],
           "parameters": [
            {"name": "entry", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "count", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10}}
           ],
           "responses": {
            "200": {"description": "The ticks to come", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CronTicks"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/cron/{entry}/pause": {
          "post": {
           "summary": "Let an entry rest until it is resumed", "security": [{"bearer": []}],
           "parameters": [{"name": "entry", "in": "path", "required": true, "schema": {"type": "string"}}],
           "responses": {
            "200": {"description": "As it stands now", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CronEntry"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/cron/{entry}/resume": {
          "post": {
           "summary": "Let a paused entry run again; ticks of the pause do not come back", "security": [{"bearer": []}],
           "parameters": [{"name": "entry", "in": "path", "required": true, "schema": {"type": "string"}}],
           "responses": {
            "200": {"description": "As it stands now", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CronEntry"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/cron/{entry}/run": {
          "post": {
           "summary": "Run the latest tick of an entry that is due and did not run yet", "security": [{"bearer": []}],
           "parameters": [
            {"name": "entry", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "now", "in": "query", "description": "An extra tick, whatever is due", "schema": {"type": "boolean", "default": false}},
            {
             "name": "wait", "in": "query", "description": "Seconds to wait for the end of the work",
             "schema": {"type": "integer", "minimum": 0, "maximum": 120, "default": 0}
            }
           ],
           "responses": {
            "200": {"description": "Done", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CronAnswer"}}}},
            "202": {"description": "Under way", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CronAnswer"}}}},
            "409": {"description": "Nothing due, or it ran before", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/CronAnswer"}}}},
            "500": {"description": "It failed", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/CronAnswer"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/teams/{team}/settings": {
          "get": {
           "summary": "A team's plan, usage and payments as a page", "parameters": [
            {"$ref": "#/components/parameters/team"}, {"name": "t", "in": "query", "required": true, "schema": {"type": "string"}},
            {"name": "tab", "in": "query", "schema": {"type": "string", "enum": ["plan", "usage", "payments"], "default": "plan"}}
           ],
           "responses": {"200": {"description": "A page"}, "404": {"description": "A page"}}
          }
         },
         "/teams/{team}/settings/upgrade": {
          "post": {
           "summary": "Start the payment of the plan on sale, or take it up again", "parameters": [
            {"$ref": "#/components/parameters/team"}, {"name": "t", "in": "query", "required": true, "schema": {"type": "string"}}
           ],
           "responses": {"303": {"description": "To the payment"}, "404": {"description": "A page"}, "default": {"description": "A page"}}
          }
         },
        """#

    static let usageParameters = #"""
          "project": {"name": "project", "in": "path", "required": true, "description": "A project's slug", "schema": {"type": "string"}},
          "email": {"name": "email", "in": "path", "required": true, "schema": {"type": "string", "format": "email"}},
          "enforce": {
           "name": "enforce", "in": "query", "description": "false enters what is so elsewhere already, limits or not",
           "schema": {"type": "boolean", "default": true}
          },
          "period": {
           "name": "period", "in": "query", "description": "A month, the current one unless given", "schema": {"$ref": "#/components/schemas/Period"}
          },
        """#

    static let usageResponses = #"""
          "OverLimit": {
           "description": "It would pass a limit of the plan; the body names limit, team, used and max",
           "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Allowance"}}}
          },
        """#
}
