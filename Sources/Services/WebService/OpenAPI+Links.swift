extension OpenAPI {
    /// Links to payments, and what a browser may do with one.
    static let linkPaths = #"""
         "/api/v1/payments/{payment}/link/": {
          "post": {
           "summary": "Make a signed link to the payment's page", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/payment"}],
           "requestBody": {"required": false, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewLink"}}}},
           "responses": {
            "201": {"description": "The link", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Link"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          },
          "delete": {
           "summary": "Take back every link that was made to the payment", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/payment"}],
           "responses": {
            "200": {"description": "Taken back", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LinksRevoked"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{payment}/events/": {
          "get": {
           "summary": "Where the payment stands, as it changes", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/payment"}, {"$ref": "#/components/parameters/LastEvent"}],
           "responses": {
            "200": {"description": "Events named status, until the final one", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            "204": {"description": "Nothing more is to come"},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/pay/{token}": {
          "get": {
           "summary": "The payment's page", "parameters": [{"$ref": "#/components/parameters/linkToken"}],
           "responses": {"200": {"description": "A page"}, "404": {"description": "A page"}, "410": {"description": "A page"}, "429": {"description": "A page"}}
          }
         },
         "/pay/{token}/pay/{provider}": {
          "post": {
           "summary": "Start the payment at a provider, or take it up again",
           "parameters": [{"$ref": "#/components/parameters/linkToken"}, {"$ref": "#/components/parameters/provider"}],
           "responses": {"303": {"description": "To where it is paid"}, "default": {"description": "A page"}}
          }
         },
         "/pay/{token}/status": {
          "get": {
           "summary": "Where the payment stands", "parameters": [{"$ref": "#/components/parameters/linkToken"}],
           "responses": {
            "200": {"description": "The status", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LinkStatus"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/pay/{token}/choices": {
          "get": {
           "summary": "The ways to pay that fit amount and country",
           "parameters": [
            {"$ref": "#/components/parameters/linkToken"},
            {"name": "country", "in": "query", "description": "ISO 3166, or all", "schema": {"type": "string"}}
           ],
           "responses": {
            "200": {"description": "The choices", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LinkChoices"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/pay/{token}/initiate": {
          "post": {
           "summary": "Start what the customer chose", "parameters": [{"$ref": "#/components/parameters/linkToken"}],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LinkChoice"}}}},
           "responses": {
            "201": {"description": "Started", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LinkStarted"}}}},
            "502": {"$ref": "#/components/responses/Unknown"}, "503": {"$ref": "#/components/responses/NothingStarted"},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/pay/{token}/retry": {
          "post": {
           "summary": "Start anew; what still waits gives way", "parameters": [{"$ref": "#/components/parameters/linkToken"}],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LinkChoice"}}}},
           "responses": {
            "201": {"description": "Started", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/LinkStarted"}}}},
            "502": {"$ref": "#/components/responses/Unknown"}, "503": {"$ref": "#/components/responses/NothingStarted"},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/pay/{token}/events": {
          "get": {
           "summary": "Where the payment stands, as it changes",
           "parameters": [{"$ref": "#/components/parameters/linkToken"}, {"$ref": "#/components/parameters/LastEvent"}],
           "responses": {
            "200": {"description": "Events named status, until the final one", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            "204": {"description": "Nothing more is to come"},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/js/v1/quittance.js": {"get": {"summary": "The script for other sites' pages", "responses": {"200": {"description": "JavaScript"}}}},
         "/js/v1/quittance.d.ts": {"get": {"summary": "Its types", "responses": {"200": {"description": "TypeScript"}}}},
        """#

    static let linkParameters = #"""
          "linkToken": {
           "name": "token", "in": "path", "required": true, "description": "The token of a payment link", "schema": {"type": "string"}
          },
          "LastEvent": {
           "name": "Last-Event-ID", "in": "header", "required": false, "description": "The id of the last event that came",
           "schema": {"type": "string"}
          },
        """#

    static let linkSchemas = #"""
          "NewLink": {
           "type": "object",
           "properties": {
            "expires_in": {"type": "integer", "minimum": 60, "maximum": 7776000, "default": 604800, "description": "Seconds"},
            "purpose": {"type": "string", "enum": ["pay", "watch"], "default": "pay"}
           }
          },
          "Link": {
           "type": "object",
           "properties": {
            "payment": {"type": "string"}, "purpose": {"type": "string", "enum": ["pay", "watch"]}, "token": {"type": "string"},
            "url": {"type": "string", "format": "uri"}, "expires_at": {"$ref": "#/components/schemas/Time"}
           }
          },
          "LinksRevoked": {
           "type": "object", "properties": {"payment": {"type": "string"}, "revoked_at": {"$ref": "#/components/schemas/Time"}}
          },
          "LinkStatus": {
           "type": "object",
           "properties": {
            "payment": {"type": "string"}, "status": {"$ref": "#/components/schemas/State"}, "final": {"type": "boolean"},
            "amount": {"$ref": "#/components/schemas/Amount"}, "currency": {"$ref": "#/components/schemas/Currency"},
            "captured": {"$ref": "#/components/schemas/Amount"}, "description": {"type": "string"},
            "language": {"$ref": "#/components/schemas/Language"}, "may_pay": {"type": "boolean"},
            "updated_at": {"$ref": "#/components/schemas/Time"}, "link_expires_at": {"$ref": "#/components/schemas/Time"}
           }
          },
          "LinkChoice": {
           "type": "object", "required": ["provider"],
           "properties": {
            "provider": {"type": "string"}, "method": {"type": "string", "description": "As the choice says it"},
            "network": {"type": "string"}, "phone": {"type": "string"}, "otp": {"type": "string"},
            "customer_address": {"type": "string"}, "customer_city": {"type": "string"}, "customer_country": {"type": "string"},
            "customer_state": {"type": "string"}, "customer_zip_code": {"type": "string"}
           }
          },
          "LinkChoices": {
           "type": "object",
           "properties": {
            "country": {"type": ["string", "null"]},
            "countries": {
             "type": "array", "items": {"type": "object", "properties": {"code": {"type": "string"}, "name": {"type": "string"}}}
            },
            "choices": {
             "type": "array",
             "items": {
              "type": "object",
              "properties": {
               "provider": {"type": "string"}, "method": {"type": ["string", "null"]}, "label": {"type": "string"},
               "ways": {
                "type": "array",
                "items": {
                 "type": "object",
                 "properties": {
                  "method": {"type": "string"}, "network": {"type": ["string", "null"]}, "label": {"type": "string"},
                  "countries": {"type": "array", "items": {"type": "string"}}, "flow": {"type": "string"},
                  "needs": {"type": "array", "items": {"type": "string"}}
                 }
                }
               }
              }
             }
            }
           }
          },
          "LinkStarted": {
           "type": "object",
           "properties": {
            "payment": {"type": "string"}, "status": {"$ref": "#/components/schemas/State"}, "provider": {"type": "string"},
            "payment_url": {"type": ["string", "null"]}, "step": {"$ref": "#/components/schemas/Step"},
            "qr_code": {"type": ["string", "null"]}, "expires_at": {"$ref": "#/components/schemas/Time"}
           }
          },
        """#
}
