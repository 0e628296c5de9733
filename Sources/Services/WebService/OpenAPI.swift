import Formats
import HTTPServer

/// `/openapi.json`: the calls in a form that programs read.
enum OpenAPI {
    static let route = Route("GET", "/openapi.json", .operation, bodyLimit: 0) { _ in
        HTTPResponse(
            status: 200, headers: ["Content-Type": "application/json", "Cache-Control": "public, max-age=3600"], body: Array(document.utf8))
    }

    static let document = #"{"openapi": "3.1.0", "info": \#(info), "paths": \#(paths), "components": \#(components)}"#

    private static let info = #"""
        {"title": "Quittance", "version": "1", "description": "Inquiries, orders, plans, and where their payments stand; teams, what they use and may use."}
        """#

    private static let paths = #"""
        {
        \#(usagePaths)
        \#(paymentPaths)
        \#(moneyPaths)
        \#(linkPaths)
         "/api/v1/kit/inquiries/": {
          "post": {
           "summary": "Take an inquiry with its order and its payment, at the product's price",
           "requestBody": {
            "required": true,
            "content": {
             "application/json": {"schema": {"$ref": "#/components/schemas/Inquiry"}},
             "application/x-www-form-urlencoded": {"schema": {"$ref": "#/components/schemas/Inquiry"}},
             "multipart/form-data": {"schema": {"$ref": "#/components/schemas/InquiryWithFiles"}}
            }
           },
           "responses": {
            "201": {"description": "Taken", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TakenInquiry"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/": {
          "post": {
           "summary": "Create a payment for another system's order", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/MayRepeat"}],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewPayment"}}}},
           "responses": {
            "201": {"description": "Created", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{payment}/": {
          "get": {
           "summary": "A payment with its attempts", "security": [{"bearer": []}], "parameters": [{"$ref": "#/components/parameters/payment"}],
           "responses": {
            "200": {"description": "The payment", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{provider}/initiate/": {
          "post": {
           "summary": "Start an attempt at a provider", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/provider"}, {"$ref": "#/components/parameters/Idempotency"}],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Initiate"}}}},
           "responses": {
            "201": {"description": "Started", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Started"}}}},
            "502": {"$ref": "#/components/responses/Unknown"}, "503": {"$ref": "#/components/responses/NothingStarted"},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/v1/payments/{provider}/{payment}/status/": {
          "get": {
           "summary": "A payment by its id, or by the reference of an attempt at the provider", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/provider"}, {"$ref": "#/components/parameters/payment"}],
           "responses": {
            "200": {"description": "The payment", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Payment"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/payments/{team}/initiate": {
          "post": {
           "summary": "Let a team pay for a plan, at the price on sale", "security": [{"bearer": []}],
           "parameters": [{"$ref": "#/components/parameters/team"}, {"$ref": "#/components/parameters/MayRepeat"}],
           "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PlanUpgrade"}}}},
           "responses": {
            "201": {"description": "Started", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TeamPayment"}}}},
            "502": {"$ref": "#/components/responses/Unknown"}, "503": {"$ref": "#/components/responses/NothingStarted"},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/payments/{team}/history": {
          "get": {
           "summary": "A team's payments, newest first", "security": [{"bearer": []}],
           "parameters": [
            {"$ref": "#/components/parameters/team"},
            {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 50, "default": 50}},
            {"name": "before", "in": "query", "description": "The last payment of the page before", "schema": {"type": "string"}}
           ],
           "responses": {
            "200": {"description": "The payments", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TeamPayments"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/api/payments/{payment}/status": {
          "get": {
           "summary": "A team's payment", "security": [{"bearer": []}], "parameters": [{"$ref": "#/components/parameters/payment"}],
           "responses": {
            "200": {"description": "The payment", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TeamPayment"}}}},
            "default": {"$ref": "#/components/responses/Problem"}
           }
          }
         },
         "/kit/inquiry/": {
          "get": {"summary": "The form as a page", "responses": {"200": {"description": "A page"}}},
          "post": {"summary": "Take the form", "responses": {"303": {"description": "To the checkout"}, "422": {"description": "A page"}}}
         },
         "/kit/checkout/{inquiry}/": {
          "get": {
           "summary": "What is to be paid, with a button per provider", "parameters": [{"$ref": "#/components/parameters/inquiry"}],
           "responses": {"200": {"description": "A page"}, "404": {"description": "A page"}}
          }
         },
         "/kit/checkout/{inquiry}/pay/{provider}": {
          "post": {
           "summary": "Start the payment at a provider, or take it up again",
           "parameters": [{"$ref": "#/components/parameters/inquiry"}, {"$ref": "#/components/parameters/provider"}],
           "responses": {"303": {"description": "To the provider's page"}, "default": {"description": "A page"}}
          }
         },
         "/payments/{provider}/return/": {
          "get": {
           "summary": "Where the browser comes back to; only reads",
           "parameters": [
            {"$ref": "#/components/parameters/provider"}, {"name": "transaction_id", "in": "query", "schema": {"type": "string"}},
            {"name": "token", "in": "query", "schema": {"type": "string"}}
           ],
           "responses": {"200": {"description": "A page"}, "404": {"description": "A page"}}
          },
          "post": {
           "summary": "The same from a provider's own site", "parameters": [{"$ref": "#/components/parameters/provider"}],
           "responses": {"303": {"description": "To the page by GET"}}
          }
         },
         "/healthz": {"get": {"summary": "The process runs", "responses": {"200": {"description": "Text"}}}},
         "/readyz": {
          "get": {
           "summary": "The database can be read",
           "responses": {"200": {"description": "Text"}, "default": {"$ref": "#/components/responses/Problem"}}
          }
         },
         "/metrics": {"get": {"summary": "Metrics of Prometheus", "responses": {"200": {"description": "Text"}}}}
        }
        """#
}
