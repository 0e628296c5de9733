import Drafts
import Formats
import TestSupport
import Testing

@testable import WebService

@Suite("The description of the API")
struct OpenAPITests {
    private static let file = "docs/openapi.json"
    private static let rewriting = "WRITE_OPENAPI"
    private static let command = "WRITE_OPENAPI=1 swift test --filter OpenAPITests"

    private static var served: JSON { get throws { try JSON(parsing: OpenAPI.document) } }
    private static var promised: JSON {
        get throws { try JSON(parsing: try RepositoryFile.read(file)) }
    }

    @Test("what was promised is kept as long as the version is the same, and docs/openapi.json is what is served")
    func promiseIsKept() throws {
        let (served, promised) = (try Self.served, try Self.promised)
        let breaks = APIContract.breaks(from: promised, to: served)
        if served["info"]?["version"] == promised["info"]?["version"] {
            let advice = "put it back, or raise the version (info.version, and the path's: see \"Versions\" in docs/api.md)"
            #expect(breaks.isEmpty, "this breaks those who call the API; \(advice)")
            guard breaks.isEmpty else { return }
        }
        if RepositoryFile.isAsked(for: Self.rewriting) { try RepositoryFile.write(served.indented, to: Self.file) }
        #expect(try Self.promised == served, "docs/openapi.json is another one; if the changes are meant: \(Self.command)")
    }

    @Test("every call of a program is described, and nothing that is not there")
    func complete() async throws {
        try await WebStage.with { stage in
            let described = try Self.served["paths"]?.object ?? [:]
            let calls = Set(described.flatMap { path in (path.value.object?.keys ?? []).map { "\($0.uppercased()) \(path.key)" } })
            let routes = Set(stage.web.routes.filter { $0.contains(" /api/") })
            #expect(routes.subtracting(calls).isEmpty, "not described")
            #expect(calls.filter { $0.contains(" /api/") }.subtracting(routes).isEmpty, "described and not there")
        }
    }

    @Test("a call that takes files says so, with every field of the form and how many files; no other call does")
    func forms() async throws {
        try await WebStage.with { stage in
            let described = try Self.served["paths"]?.object ?? [:]
            let takingFiles = described.flatMap { path in
                (path.value.object ?? [:]).filter { $0.value["requestBody"]?["content"]?["multipart/form-data"] != nil }
                    .map { "\($0.key.uppercased()) \(path.key)" }
            }
            #expect(takingFiles == stage.web.uploadRoutes.filter { $0.contains(" /api/") } && takingFiles == ["POST /api/v1/kit/inquiries/"])
        }
        let schemas = try Self.served["components"]?["schemas"]
        let (plain, form) = (schemas?["Inquiry"], schemas?["InquiryWithFiles"])
        let fields = InquiryForm.textFields + ["organization_name", "contact_name", "email", "phone", "language", "documents_count"]
        #expect(Set(plain?["properties"]?.object?.map(\.key) ?? []) == Set(fields))
        #expect(Set(form?["properties"]?.object?.map(\.key) ?? []) == Set(fields + [KitCalls.fileField]))
        #expect(form?["required"] == plain?["required"])
        let documents = form?["properties"]?["documents"]
        #expect(documents?["maxItems"]?.int == Int64(InquiryAttachment.countMax))
        #expect(documents?["items"]?["contentMediaType"]?.string == "application/octet-stream")
    }

    /// The smallest description that has one of everything.
    private static let base = #"""
        {"info": {"version": "1"}, "paths": {"/a/{id}": {"post": {
          "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
                         {"name": "q", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 9}}],
          "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}},
          "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Out"}}}},
                        "404": {"$ref": "#/components/responses/Problem"}}},
          "get": {"responses": {"200": {}}}}},
         "components": {
          "responses": {"Problem": {"content": {"application/problem+json": {"schema": {"type": "object"}}}}},
          "schemas": {
           "In": {"type": "object", "required": ["name"],
                  "properties": {"name": {"type": "string", "maxLength": 20}, "kind": {"type": "string", "enum": ["x", "y"]}, "n": {"type": ["integer", "null"]},
                                 "in": {"$ref": "#/components/schemas/In"}}},
           "Out": {"type": "object", "required": ["id"],
                   "properties": {"id": {"type": "string"}, "state": {"type": "string", "enum": ["open", "done"]}, "amount": {"type": "number"},
                                  "list": {"type": "array", "items": {"$ref": "#/components/schemas/Out"}}}}}}}
        """#

    @Test(
        "a change that breaks callers is found",
        arguments: [
            (#""/a/{id}""#, #""/b/{id}""#, "/a/{id} is gone"), (#""get""#, #""put""#, "GET /a/{id} is gone"),
            (#""404": "#, #""410": "#, "no longer answers 404"),
            (#""required": ["name"]"#, #""required": ["name", "kind"]"#, "body.kind is required now"),
            (#"["x", "y"]"#, #"["x"]"#, #"body.kind no longer knows "y""#),
            (#"["open", "done"]"#, #"["open"]"#, #"200.state no longer knows "done""#),
            (#""n": {"type": ["integer", "null"]}"#, #""n": {"type": "integer"}"#, "body.n may no longer be null"),
            (#""n": {"type": ["integer", "null"]},"#, "", "body.n is gone"), (#""amount": {"type": "number"},"#, "", "200.amount is gone"),
            (#""amount": {"type": "number"}"#, #""amount": {"type": ["number", "null"]}"#, "200.amount may be null now"),
            (#""id": {"type": "string"}"#, #""id": {"type": "integer"}"#, "200.id may be integer now"),
            (#""required": ["id"]"#, #""required": []"#, "200.id is no longer promised"),
            (#""maxLength": 20"#, #""maxLength": 10"#, "lower maxLength"),
            (#""minimum": 1"#, #""minimum": 2"#, "higher minimum"),
            (#""in": "query", "#, #""in": "query", "required": true, "#, "requires query q now"),
            (#""name": "q""#, #""name": "r""#, "no longer takes query q"),
            (#""requestBody": {"#, #""requestBody": {"required": true, "#, "requires a body now"),
            (#""post": {"#, #""post": {"security": [{}], "#, "asks for a key now"),
            (#""name": {"type": "string""#, #""name": {"type": "string", "pattern": "^a""#, "another pattern"),
            (#""In": {"type": "object""#, #""In": {"type": "object", "additionalProperties": false"#, "takes no other members any more"),
            (
                "application/json\": {\"schema\": {\"$ref\": \"#/components/schemas/Out",
                "text/csv\": {\"schema\": {\"$ref\": \"#/components/schemas/Out", "no longer application/json"
            ),
        ])
    func breaking(text: String, other: String, named: String) throws {
        let changed = Self.base.replacing(text, with: other)
        try #require(changed != Self.base)
        let breaks = APIContract.breaks(from: try JSON(parsing: Self.base), to: try JSON(parsing: changed))
        #expect(breaks.contains { $0.contains(named) }, "\(breaks)")
    }

    @Test(
        "a change that adds breaks nobody",
        arguments: [
            (#""paths": {"#, #""paths": {"/b": {"get": {"responses": {}}}, "#), (#""404": "#, #""409": {}, "404": "#),
            (#"["x", "y"]"#, #"["x", "y", "z"]"#), (#"["open", "done"]"#, #"["open", "done", "gone"]"#), (#""maxLength": 20"#, #""maxLength": 40"#),
            (#""required": ["name"]"#, #""required": []"#), (#""required": ["id"]"#, #""required": ["id", "state"]"#),
            (#""amount": {"type": "number"}"#, #""amount": {"type": "integer"}, "more": {"type": "string"}"#),
            (#""name": "q""#, #""name": "q", "description": "more""#), (#""maximum": 9"#, #""maximum": 90"#),
            (#""kind": {"#, #""other": {"type": "string"}, "kind": {"#),
        ])
    func additive(text: String, other: String) throws {
        let changed = Self.base.replacing(text, with: other)
        try #require(changed != Self.base)
        #expect(APIContract.breaks(from: try JSON(parsing: Self.base), to: try JSON(parsing: changed)) == [])
    }
}
