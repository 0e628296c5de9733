extension OpenAPI {
    /// What is done about payments, and what each provider offers.
    static let paymentPaths = #"""
         "/api/v1/payments/providers/": {
          "get": {
           "summary": "What customers may choose from, of every provider that is on", "security": [{"bearer": []}],
           "responses": {
            "200": {"description": "Fresh for an hour, with an ETag", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Offers"}}}},
            "304": {"description": "As it was"}, "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{provider}/providers/": {
          "get": {
           "summary": "What customers may choose from at a provider: networks, countries, currencies, limits", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/provider"}],
           "responses": {
            "200": {"description": "Fresh for an hour, with an ETag", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Offers"}}}},
            "304": {"description": "As it was"}, "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{provider}/history/": {
          "get": {
           "summary": "The payments that were tried at a provider, newest first", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/provider"}, {"name": "status", "in": "query", "schema": {"$ref": "#/components/schemas/State"}},
            {"name": "currency", "in": "query", "schema": {"type": "string"}}, {"name": "method", "in": "query", "schema": {"type": "string"}},
            {"name": "from", "in": "query", "description": "A time of RFC 3339, or a day", "schema": {"type": "string"}},
            {"name": "to", "in": "query", "description": "Before this time", "schema": {"type": "string"}},
            {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}},
            {"name": "before", "in": "query", "description": "`next` of the page before", "schema": {"type": "string"}}
           ],
           "responses": {
            "200": {"description": "The payments", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/History"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{provider}/health/": {
          "get": {
           "summary": "How a provider has been doing for a day", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/provider"}],
           "responses": {
            "200": {"description": "Its standing", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Standing"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{provider}/retry/{payment}/": {
          "post": {
           "summary": "One more attempt; those that still wait give way to it", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/provider"}, {"$ref": "#/components/parameters/payment"},
            {"$ref": "#/components/parameters/Idempotency"}
           ],
           "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/AttemptChoice"}}}},
           "responses": {
            "201": {"description": "Started", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Started"}}}},
            "502": {"$ref": "#/components/responses/Unknown"}, "503": {"$ref": "#/components/responses/NothingStarted"},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{payment}/refund/": {
          "post": {
           "summary": "Give money back: by the provider's call, or as it was done there already", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/payment"}, {"$ref": "#/components/parameters/Idempotency"}],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewRefund"}}}},
           "responses": {
            "201": {"description": "Asked for or recorded", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refund"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{payment}/refunds/": {
          "get": {
           "summary": "A payment's refunds, and what can still be given back", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/payment"}],
           "responses": {
            "200": {"description": "The refunds", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refunds"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{payment}/received/": {
          "post": {
           "summary": "Record money that came by transfer, in cash or by cheque", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/payment"}, {"$ref": "#/components/parameters/Idempotency"}],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Receipt"}}}},
           "responses": {
            "201": {"description": "Recorded", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{payment}/accept/": {
          "post": {
           "summary": "Take what came in for a conflicted payment as payment", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/payment"}, {"$ref": "#/components/parameters/Idempotency"}],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Decision"}}}},
           "responses": {
            "200": {"description": "Decided", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{payment}/qr.png": {
          "get": {
           "summary": "Where the payment is paid, as a QR code for a phone's camera", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/payment"},
            {
             "name": "scale", "in": "query", "description": "Dots on a side of a square",
             "schema": {"type": "integer", "minimum": 1, "maximum": 40, "default": 8}
            }
           ],
           "responses": {
            "200": {"description": "A picture", "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{payment}/qr.svg": {
          "get": {
           "summary": "The same as a drawing", "security": [{"bearer": []}], "parameters": [{"$ref": "#/components/parameters/payment"}],
           "responses": {
            "200": {"description": "A picture", "content": {"image/svg+xml": {"schema": {"type": "string"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{payment}/cancel/": \#(cancel),
         "/api/payments/{payment}/cancel": \#(cancel),
         "/payments/{provider}/pay/": {
          "get": {
           "summary": "Our page of an attempt: a widget, a push to confirm, an account to transfer to",
           "parameters": [{"$ref": "#/components/parameters/provider"}, {"name": "transaction_id", "in": "query", "schema": {"type": "string"}}],
           "responses": {"200": {"description": "A page"}, "303": {"description": "To the provider's page"}, "404": {"description": "A page"}}
          }
         },
        """#

    private static let cancel = #"""
        {
          "post": {
           "summary": "Ask the provider to end what waits for the customer", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/payment"}],
           "responses": {
            "200": {"description": "The provider agreed", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Cancelling"}}}},
            "409": {
             "description": "It did not, or there is nothing to cancel",
             "content": {
              "application/json": {"schema": {"$ref": "#/components/schemas/Cancelling"}},
              "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
             }
            },
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         }
        """#

    static let paymentSchemas = #"""
          "AttemptChoice": {
           "type": "object",
           "properties": {
            \#(choice)
           }
          },
          "Step": {
           "type": ["object", "null"], "description": "What the customer has to do",
           "properties": {
            "kind": {"type": "string", "enum": ["redirect", "widget", "approve", "transfer"]}, "fields": {"$ref": "#/components/schemas/Texts"}
           }
          },
          "Offers": {
           "type": "object",
           "properties": {
            "providers": {
             "type": "array",
             "items": {
              "type": "object",
              "properties": {
               "provider": {"type": "string"}, "mode": {"type": "string", "enum": ["sandbox", "live"]}, "starts_payments": {"type": "boolean"},
               "refunds": {"type": "string", "enum": ["none", "full", "partial"]}, "cancels": {"type": "boolean"},
               "choices": {
                "type": "array",
                "items": {
                 "type": "object",
                 "properties": {
                  "method": {"type": "string"}, "network": {"type": ["string", "null"]}, "label": {"type": "string"},
                  "countries": {"type": "array", "items": {"type": "string"}}, "currencies": {"type": "array", "items": {"type": "string"}},
                  "minimum": {"type": ["string", "null"]}, "maximum": {"type": ["string", "null"]}, "flow": {"type": "string"},
                  "needs": {"type": "array", "items": {"type": "string"}}, "available": {"type": "boolean"}, "reason": {"type": ["string", "null"]}
                 }
                }
               }
              }
             }
            }
           }
          },
          "History": {
           "type": "object",
           "properties": {
            "payments": {"type": "array", "items": {"$ref": "#/components/schemas/Payment"}}, "next": {"type": ["string", "null"]}
           }
          },
          "Standing": {
           "type": "object",
           "properties": {
            "provider": {"type": "string"}, "mode": {"type": "string"}, "status": {"type": "string", "enum": ["ok", "ailing", "off"]},
            "starts_payments": {"type": "boolean"}, "last_event_at": {"$ref": "#/components/schemas/Time"},
            "last_attempt_at": {"$ref": "#/components/schemas/Time"}, "attempts_24h": {"type": "integer"}, "waiting_24h": {"type": "integer"},
            "captured_24h": {"type": "integer"}, "failed_24h": {"type": "integer"}
           }
          },
          "NewRefund": {
           "type": "object", "required": ["reason"],
           "properties": {
            "amount": {"type": ["string", "number", "null"], "description": "All that is left unless told"}, "reason": \#(needed(500)),
            "provider_reference": \#(text(200, #", "description": "Where the money went back already: what it is called there""#)),
            "further": {"type": ["boolean", "null"], "description": "With a reference: it went back besides what the provider has told already"}
           }
          },
          "Refund": {
           "type": "object",
           "properties": {
            "id": {"type": "string"}, "payment": {"type": "string"}, "attempt": {"type": "string"},
            "amount": {"$ref": "#/components/schemas/Amount"}, "currency": {"$ref": "#/components/schemas/Currency"}, "reason": {"type": "string"},
            "way": {"type": "string", "enum": ["call", "staff"]}, "status": {"type": "string", "enum": ["requested", "sent", "done", "failed"]},
            "provider_reference": {"type": ["string", "null"]}, "detail": {"type": ["string", "null"]},
            "created_at": {"$ref": "#/components/schemas/Time"}, "settled_at": {"$ref": "#/components/schemas/Time"}
           }
          },
          "Refunds": {
           "type": "object",
           "properties": {
            "refunds": {"type": "array", "items": {"$ref": "#/components/schemas/Refund"}}, "refundable": {"$ref": "#/components/schemas/Amount"}
           }
          },
          "Receipt": {
           "type": "object", "required": ["amount", "reference", "method"],
           "properties": {
            "amount": {"$ref": "#/components/schemas/Sum"}, "reference": \#(needed(100)),
            "method": {"type": "string", "enum": ["bank_transfer", "cash", "cheque"]}, "proof": \#(text(500))
           }
          },
          "Decision": {"type": "object", "required": ["reason"], "properties": {"reason": \#(needed(500))}},
          "Cancelling": {
           "type": "object",
           "properties": {
            "id": {"type": "string"}, "status": {"type": "string", "enum": ["pending", "processing", "completed", "failed", "cancelled"]},
            "state": {"type": "string", "description": "Our own, finer word"}, "provider_agreed": {"type": "boolean"},
            "detail": {"type": ["string", "null"]}
           }
          },
        """#
}
