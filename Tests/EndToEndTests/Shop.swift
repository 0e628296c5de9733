import Formats
import TestSupport
import Testing

/// A merchant's back end with its key.
struct Shop: Sendable {
    let stage: Stage
    let key: String

    /// - Parameter scopes: what its key may do; payments only when there are none.
    init(_ stage: Stage, scopes: [String] = []) async throws {
        self.stage = stage
        let made = try await stage.instance.quittance(
            ["apikey", "create", "--name", "end-to-end", "--json"] + scopes.flatMap { ["--scope", $0] })
        key = try #require(try JSON(parsing: made.output)["key"]?.string, "\(made.output) \(made.errors)")
    }

    @discardableResult
    func call(_ method: String, _ path: String, _ body: JSON? = nil) async throws -> JSON {
        var headers = [("authorization", "Bearer \(key)"), ("content-type", "application/json")]
        if body != nil { headers.append(("idempotency-key", ULID.make())) }
        let answer = try await HTTPLine.once(port: stage.instance.webPort, method, path, headers: headers, body: body?.bytes)
        guard (200...201).contains(answer.status) else { throw FixtureError("\(method) \(path) answered \(answer.status): \(answer.text)") }
        return try JSON(parsing: answer.body)
    }

    /// - Returns: the payment's id.
    func inquiry(email: String) async throws -> String {
        let form: JSON = [
            "organization_name": "Association Sève & Racines", "contact_name": "Aïcha Koné", "email": .string(email),
            "phone": "+2250707123456", "language": "fr", "statut_juridique": "Association loi 1960", "location": "Bouaké, Côte d’Ivoire",
            "sector": "Agriculture vivrière", "mission_text": "Accompagner les productrices.\nFormer aux comptes.", "documents_count": "4",
        ]
        let answer = try await call("POST", "/api/v1/kit/inquiries/", form)
        return try #require(answer["payment"]?.string)
    }
}
