import Drafts

extension OpenAPI {
    /// A text of a body that may be left out: null and an empty one are as if it were not there.
    static func text(_ limit: Int, _ more: String = "") -> String { #"{"type": ["string", "null"], "maxLength": \#(limit)\#(more)}"# }
    /// A text of a body that is needed.
    static func needed(_ limit: Int) -> String { #"{"type": "string", "minLength": 1, "maxLength": \#(limit)}"# }
    /// The same of a form, where everything is a text.
    static func field(_ limit: Int) -> String { #"{"type": ["string", "number", "null"], "maxLength": \#(limit)}"# }
    private static let address = text(2000, #", "description": "An absolute http or https address""#)

    /// How an attempt is to be made.
    static let choice = #"""
        "method": \#(text(40)), "network": \#(text(40, #", "description": "One of the provider's choices""#)),
            "phone": \#(text(20, #", "description": "International form; the customer's own unless given""#)),
            "otp": \#(text(12, #", "description": "A code that the customer fetched; never kept""#)), "return_url": \#(address),
            "cancel_url": \#(address)
        """#

    /// The texts of an inquiry.
    private static let inquiryFields = #"""
        "organization_name": {"type": ["string", "number"], "maxLength": 200}, "contact_name": {"type": ["string", "number"], "maxLength": 200},
        "email": {"type": "string", "maxLength": 200},
        "phone": \#(field(200)), "statut_juridique": \#(field(200)), "location": \#(field(200)),
        "sector": \#(field(200)), "mission_text": \#(field(10000)), "context_text": \#(field(10000)),
        "budget_range": \#(field(200)), "funding_sources": \#(field(200)), "audits_types": \#(field(200)),
        "audits_frequency": \#(field(200)), "staff_size": \#(field(200)), "org_chart_text": \#(field(10000)),
        "notes_text": \#(field(10000)),
        "language": {"$ref": "#/components/schemas/MayLanguage"}, "documents_count": {"type": ["integer", "string", "null"], "minimum": 0, "maximum": 100}
        """#
    private static let attachmentRule = """
        "PDF, Word, Excel, PNG or JPEG by what is in them; \(InquiryAttachment.sizeMax >> 20) MB each, \(InquiryAttachment.allSizeMax >> 20) MB \
        in all. 507 with Retry-After where there is no room: the form is taken without them"
        """

    /// What the calls share: keys, parameters, problems and shapes.
    static let components = #"""
        {
         "securitySchemes": {
          "bearer": {
           "type": "http", "scheme": "bearer",
           "description": "A key made with `quittance apikey create`, or a merchant's token (JWT, HS256) where the installation takes them"
          }
         },
         "parameters": {
        \#(usageParameters)
        \#(linkParameters)
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
           "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"}
          },
          "MayRepeat": {
           "name": "Idempotency-Key", "in": "header", "required": false, "description": "As above, where a repeat is to be harmless.",
           "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"}
          }
         },
         "responses": {
        \#(usageResponses)
          "Problem": {
           "description": "What is wrong, naming each field and its rule: 401 without a good key, 403 without its scope, 429 too many calls a minute",
           "headers": {
            "Retry-After": {"description": "Seconds, with 429 and 503", "schema": {"type": "integer", "minimum": 0}},
            "RateLimit-Limit": {"description": "Calls a minute", "schema": {"type": "integer"}},
            "RateLimit-Remaining": {"description": "Calls that are left", "schema": {"type": "integer", "minimum": 0}},
            "RateLimit-Reset": {"description": "Seconds until a new minute begins", "schema": {"type": "integer", "minimum": 0}}
           },
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
          "Sum": {"type": ["string", "number"], "description": "A plain decimal, such as 12500 or 3.00; a text keeps it exact"},
          "Language": {"type": "string", "enum": ["fr", "en"]},
          "MayLanguage": {"type": ["string", "null"], "enum": ["fr", "en", "", null], "default": "fr"},
          "MayTexts": {
           "type": ["object", "null"], "maxProperties": 20, "propertyNames": {"maxLength": 40},
           "additionalProperties": {"type": ["string", "number", "boolean", "null"], "maxLength": 500}
          },
          "Time": {"type": ["string", "null"], "format": "date-time"},
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
        \#(moneySchemas)
        \#(linkSchemas)
          "Customer": {
           "type": "object", "required": ["name"],
           "properties": {
            "name": \#(needed(200)), "email": \#(text(254)),
            "phone": \#(text(20, #", "description": "International form: +2250707123456""#)),
            "language": {"$ref": "#/components/schemas/MayLanguage"}
           }
          },
          "MayCustomer": {
           "type": ["object", "null"], "description": "Named as the team unless told",
           "properties": {
            "name": \#(text(200)), "email": \#(text(254)), "phone": \#(text(20)), "language": {"$ref": "#/components/schemas/MayLanguage"}
           }
          },
          "Inquiry": {
           "type": "object", "required": ["organization_name", "contact_name", "email"],
           "properties": {
            \#(inquiryFields)
           }
          },
          "InquiryWithFiles": {
           "type": "object", "required": ["organization_name", "contact_name", "email"],
           "properties": {
            \#(inquiryFields),
            "documents": {
             "type": "array", "maxItems": \#(InquiryAttachment.countMax),
             "description": \#(attachmentRule),
             "items": {"type": "string", "contentMediaType": "application/octet-stream"}
            }
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
           "type": "object", "required": ["description", "amount", "currency", "customer"],
           "anyOf": [{"required": ["order_id"]}, {"required": ["subject"]}],
           "properties": {
            "order_id": \#(text(200, #", "description": "The other system's order""#)),
            "subject": \#(text(200, #", "description": "Another name of order_id""#)),
            "description": \#(needed(500)), "amount": {"$ref": "#/components/schemas/Sum"},
            "currency": {"$ref": "#/components/schemas/Currency"}, "customer": {"$ref": "#/components/schemas/Customer"},
            "metadata": {"$ref": "#/components/schemas/MayTexts"}, "purpose": {"type": ["string", "null"], "enum": ["order", "", null]},
            "provider": {
             "type": ["string", "null"], "description": "One that reports what is paid elsewhere, by order_id", "enum": ["standard-webhooks", "", null]
            }
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
            "payment": \#(needed(64)),
            \#(choice)
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
             "type": "object", "required": ["new_plan"], "maxProperties": 20,
             "properties": {
              "plan_upgrade": {"type": ["boolean", "string", "null"], "enum": [true, "true", null]},
              "new_plan": {"type": "string", "minLength": 1, "description": "pay_as_you_go, or pro as it is shown"}, "description": \#(text(500))
             }
            },
            "amount": {"description": "Refused unless it is the plan's price", "type": ["string", "number", "null"]},
            "currency": \#(text(3, #", "description": "Refused unless it is the price's""#)), "return_url": \#(address),
            "customer": {"$ref": "#/components/schemas/MayCustomer"}
           }
          },
          "TeamPayment": {
           "type": "object",
           "properties": {
            "id": {"type": "string"}, "team_id": {"type": "string"}, "external_payment_id": {"type": ["string", "null"]},
            "amount": {"type": "number"}, "currency": {"$ref": "#/components/schemas/Currency"}, "payment_method": {"type": ["string", "null"]},
            "status": {"type": "string", "enum": ["pending", "processing", "completed", "failed", "cancelled"]},
            "state": {"type": "string", "description": "Our own, finer word"}, "payment_url": {"type": ["string", "null"]},
            "qr_code": {"type": ["string", "null"], "description": "A picture as a data: address, while the payment can be paid"},
            "metadata": {
             "type": "object", "additionalProperties": {"type": "string"},
             "properties": {
              "description": {"type": "string"}, "plan_upgrade": {"type": "boolean"}, "new_plan": {"type": "string"},
              "transaction_id": {"type": ["string", "null"], "description": "The provider's number, once it is paid"}
             }
            },
            "created_at": {"$ref": "#/components/schemas/Time"},
            "completed_at": {"$ref": "#/components/schemas/Time"}
           }
          },
          "TeamPayments": {
           "type": "object",
           "properties": {
            "payments": {"type": "array", "items": {"$ref": "#/components/schemas/TeamPayment"}},
            "next": {"type": ["string", "null"], "description": "The before of the next page"}
           }
          }
         }
        }
        """#
}
