extension OpenAPI {
    /// What the calls share: keys, parameters, problems and shapes.
    static let components = #"""
        {
         "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "A key made with `quittance apikey create`"}},
         "parameters": {
        \#(usageParameters)
          "provider": {
           "name": "provider", "in": "path", "required": true, "description": "cinetpay, payment-backend, standard-webhooks, …",
           "schema": {"type": "string"}
          },
          "payment": {
           "name": "payment", "in": "path", "required": true, "description": "pay_…, or a reference where one is taken",
           "schema": {"type": "string"}
          },
          "team": {"name": "team", "in": "path", "required": true, "description": "A team's slug", "schema": {"type": "string"}},
          "inquiry": {"name": "inquiry", "in": "path", "required": true, "description": "inq_…", "schema": {"type": "string"}},
          "Idempotency": {
           "name": "Idempotency-Key", "in": "header", "required": true,
           "description": "Kept 48 hours. Same key, same body: the first answer with Idempotency-Replayed; other body: 422; still running: 409.",
           "schema": {"type": "string", "minLength": 1, "maxLength": 200}
          },
          "MayRepeat": {
           "name": "Idempotency-Key", "in": "header", "required": false, "description": "As above, where a repeat is to be harmless.",
           "schema": {"type": "string", "minLength": 1, "maxLength": 200}
          }
         },
         "responses": {
        \#(usageResponses)
          "Problem": {
           "description": "What is wrong, naming each field and its rule",
           "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
          },
          "Unknown": {
           "description": "The provider's answer leaves the outcome unknown; the attempt stays open and is asked about",
           "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
          },
          "NothingStarted": {
           "description": "Nothing was started; try again after Retry-After",
           "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
          }
         },
         "schemas": {
        \#(usageSchemas)
          "Amount": {"type": "string", "description": "A plain decimal text, such as 12500 or 3.00"},
          "Currency": {"type": "string", "enum": ["XOF", "XAF", "GNF", "CDF", "EUR", "USD", "ILS"]},
          "Language": {"type": "string", "enum": ["fr", "en"], "default": "fr"}, "Time": {"type": ["string", "null"], "format": "date-time"},
          "Texts": {"type": "object", "additionalProperties": {"type": "string"}},
          "State": {
           "type": "string",
           "enum": [
            "created", "pending", "processing", "authorised", "paid", "partially_paid", "failed", "cancelled", "expired", "conflicted",
            "partially_refunded", "refunded", "charged_back"
           ]
          },
          "Problem": {
           "type": "object", "required": ["type", "title", "status"],
           "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
            "errors": {"type": "array", "items": {"type": "object", "properties": {"field": {"type": "string"}, "rule": {"type": "string"}}}}
           }
          },
        \#(paymentSchemas)
          "Customer": {
           "type": "object",
           "properties": {
            "name": {"type": "string", "maxLength": 200}, "email": {"type": "string", "maxLength": 254},
            "phone": {"type": "string", "description": "International form: +2250707123456"},
            "language": {"$ref": "#/components/schemas/Language"}
           }
          },
          "Inquiry": {
           "type": "object", "required": ["organization_name", "contact_name", "email"],
           "properties": {
            "organization_name": {"type": "string", "maxLength": 200}, "contact_name": {"type": "string", "maxLength": 200},
            "email": {"type": "string", "maxLength": 200}, "phone": {"type": "string", "maxLength": 200},
            "statut_juridique": {"type": "string", "maxLength": 200}, "location": {"type": "string", "maxLength": 200},
            "sector": {"type": "string", "maxLength": 200}, "mission_text": {"type": "string", "maxLength": 10000},
            "context_text": {"type": "string", "maxLength": 10000}, "budget_range": {"type": "string", "maxLength": 200},
            "funding_sources": {"type": "string", "maxLength": 200}, "audits_types": {"type": "string", "maxLength": 200},
            "audits_frequency": {"type": "string", "maxLength": 200}, "staff_size": {"type": "string", "maxLength": 200},
            "org_chart_text": {"type": "string", "maxLength": 10000}, "notes_text": {"type": "string", "maxLength": 10000},
            "language": {"$ref": "#/components/schemas/Language"}, "documents_count": {"type": "integer", "minimum": 0, "maximum": 100}
           }
          },
          "TakenInquiry": {
           "type": "object",
           "properties": {
            "inquiry": {"type": "string"}, "order": {"type": "string"}, "payment": {"type": "string"}, "checkout_url": {"type": "string"},
            "amount": {"$ref": "#/components/schemas/Amount"}, "currency": {"$ref": "#/components/schemas/Currency"}
           }
          },
          "NewPayment": {
           "type": "object", "required": ["order_id", "description", "amount", "currency", "customer"],
           "properties": {
            "order_id": {"type": "string", "maxLength": 200, "description": "The other system's order; `subject` is another name of it"},
            "description": {"type": "string", "maxLength": 500}, "amount": {"$ref": "#/components/schemas/Amount"},
            "currency": {"$ref": "#/components/schemas/Currency"}, "customer": {"$ref": "#/components/schemas/Customer"},
            "metadata": {"$ref": "#/components/schemas/Texts"},
            "provider": {"type": "string", "description": "One that reports what is paid elsewhere, by order_id", "enum": ["standard-webhooks"]}
           }
          },
          "Payment": {
           "type": "object",
           "properties": {
            "id": {"type": "string"}, "status": {"$ref": "#/components/schemas/State"}, "amount": {"$ref": "#/components/schemas/Amount"},
            "currency": {"$ref": "#/components/schemas/Currency"}, "captured": {"$ref": "#/components/schemas/Amount"},
            "refunded": {"$ref": "#/components/schemas/Amount"}, "purpose": {"type": "string", "enum": ["kit", "plan", "order"]},
            "subject": {"type": "string"}, "description": {"type": "string"}, "metadata": {"$ref": "#/components/schemas/Texts"},
            "created_at": {"$ref": "#/components/schemas/Time"}, "updated_at": {"$ref": "#/components/schemas/Time"},
            "paid_at": {"$ref": "#/components/schemas/Time"}, "attempts": {"type": "array", "items": {"$ref": "#/components/schemas/Attempt"}}
           }
          },
          "Attempt": {
           "type": "object",
           "properties": {
            "id": {"type": "string"}, "number": {"type": "integer"}, "provider": {"type": "string"},
            "mode": {"type": "string", "enum": ["sandbox", "live"]}, "method": {"type": ["string", "null"]},
            "network": {"type": ["string", "null"]}, "open": {"type": "boolean"},
            "payment_url": {"type": ["string", "null"]}, "qr_code": {"type": ["string", "null"]},
            "expires_at": {"$ref": "#/components/schemas/Time"}, "created_at": {"$ref": "#/components/schemas/Time"},
            "webhook_received_at": {"$ref": "#/components/schemas/Time"},
            "error": {"type": ["object", "null"], "properties": {"code": {"type": ["string", "null"]}, "text": {"type": ["string", "null"]}}}
           }
          },
          "Initiate": {
           "type": "object", "required": ["payment"],
           "properties": {
            "payment": {"type": "string"}, "method": {"type": "string"}, "network": {"type": "string"}, "phone": {"type": "string"},
            "otp": {"type": "string"}, "return_url": {"type": "string", "format": "uri"}, "cancel_url": {"type": "string", "format": "uri"}
           }
          },
          "Started": {
           "type": "object",
           "properties": {
            "payment": {"type": "string"}, "attempt": {"type": "string"}, "provider": {"type": "string"},
            "status": {"$ref": "#/components/schemas/State"}, "payment_url": {"type": ["string", "null"]},
            "step": {"$ref": "#/components/schemas/Step"}, "qr_code": {"type": ["string", "null"]}, "expires_at": {"$ref": "#/components/schemas/Time"}
           }
          },
          "PlanUpgrade": {
           "type": "object", "required": ["payment_method", "metadata"],
           "properties": {
            "payment_method": {"type": "string", "enum": ["mobile_money", "credit_card"]},
            "metadata": {
             "type": "object", "required": ["new_plan"],
             "properties": {
              "plan_upgrade": {"type": "boolean"}, "new_plan": {"type": "string", "description": "pay_as_you_go, or pro as it is shown"},
              "description": {"type": "string"}
             }
            },
            "amount": {"description": "Refused unless it is the plan's price", "type": ["string", "number"]},
            "currency": {"$ref": "#/components/schemas/Currency"}, "return_url": {"type": "string", "format": "uri"},
            "customer": {"$ref": "#/components/schemas/Customer"}
           }
          },
          "TeamPayment": {
           "type": "object",
           "properties": {
            "id": {"type": "string"}, "team_id": {"type": "string"}, "external_payment_id": {"type": ["string", "null"]},
            "amount": {"type": "number"}, "currency": {"$ref": "#/components/schemas/Currency"}, "payment_method": {"type": ["string", "null"]},
            "status": {
             "type": "string", "description": "pending, processing, completed, failed, cancelled; states beyond these keep their own word"
            },
            "payment_url": {"type": ["string", "null"]}, "qr_code": {"type": ["string", "null"]},
            "metadata": {"$ref": "#/components/schemas/Texts"}, "created_at": {"$ref": "#/components/schemas/Time"},
            "completed_at": {"$ref": "#/components/schemas/Time"}
           }
          },
          "TeamPayments": {"type": "object", "properties": {"payments": {"type": "array", "items": {"$ref": "#/components/schemas/TeamPayment"}}}}
         }
        }
        """#
}
