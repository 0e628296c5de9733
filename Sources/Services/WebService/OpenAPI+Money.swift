extension OpenAPI {
    /// Money that waits for a person.
    static let moneyPaths = #"""
         "/api/v1/payments/{payment}/refunds/{refund}/settle/": {
          "post": {
           "summary": "End a refund that does not come to an end, by what was found out at the provider", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/payment"}, {"name": "refund", "in": "path", "required": true, "schema": {"type": "string"}},
            {"$ref": "#/components/parameters/Idempotency"}
           ],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RefundFinding"}}}},
           "responses": {
            "200": {"description": "Settled", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refund"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{payment}/held/": {
          "get": {
           "summary": "Money that came in and cannot be counted as it stands", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/payment"}],
           "responses": {
            "200": {"description": "What waits for a decision", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/HeldMoney"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{payment}/held/{held}/": {
          "post": {
           "summary": "Decide about such money: it went back, or counts as an amount of what is owed", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/payment"}, {"name": "held", "in": "path", "required": true, "schema": {"type": "integer"}},
            {"$ref": "#/components/parameters/Idempotency"}
           ],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/HeldDecision"}}}},
           "responses": {
            "200": {"description": "Decided", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
        """#

    static let moneySchemas = #"""
          "RefundFinding": {
           "type": "object", "required": ["outcome", "reason"],
           "properties": {
            "outcome": {"type": "string", "enum": ["done", "failed"]}, "reason": \#(needed(500)), "provider_reference": \#(text(200))
           }
          },
          "HeldMoney": {
           "type": "object",
           "properties": {
            "held": {
             "type": "array",
             "items": {
              "type": "object",
              "properties": {
               "id": {"type": "integer"}, "payment": {"type": "string"}, "attempt": {"type": "string"}, "amount": {"type": ["string", "null"]},
               "currency": {"type": ["string", "null"]}, "problem": {"type": ["string", "null"]}, "recorded_at": {"$ref": "#/components/schemas/Time"}
              }
             }
            }
           }
          },
          "HeldDecision": {
           "type": "object", "required": ["decision", "reason"],
           "properties": {
            "decision": {"type": "string", "enum": ["returned", "accepted"]}, "reason": \#(needed(500)),
            "provider_reference": \#(text(200, #", "description": "Of what was returned: what that is called there""#)),
            "amount": {"type": ["string", "number", "null"], "description": "Of what is accepted: so much of what is owed"}
           }
          },
        """#
}
