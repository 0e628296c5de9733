import Cryptography
import Database
import Formats
import HTTPServer
import JobQueue
import Outbox
import Payments
import Plans
import Settings
import Telemetry
import TestSupport

/// What tests of teams ask of the stage.
extension WebStage {
    private static let tokenSecret = "a-secret-of-more-than-thirty-two-characters"

    /// Merchants' tokens are taken, which may do so much at most.
    static func takingTokens(_ granted: [String] = scopes) -> APISettings {
        var api = unlimited
        api.tokenSecrets = [.init(id: nil, secret: Secret(tokenSecret))]
        api.tokenScopes = granted
        return api
    }

    /// A token of a user, good for five minutes.
    func token(_ subject: String, _ claims: [(String, JSON)] = []) -> String {
        let all = JSON.object(JSONObject([("sub", .string(subject)), ("exp", .int(nowMs / 1000 + 300))] + claims))
        let signed = [#"{"alg":"HS256"}"#.utf8, all.text.utf8].map { Base64.urlEncode(Array($0)) }.joined(separator: ".")
        return "\(signed).\(Base64.urlEncode(HMACSHA256(key: Self.tokenSecret).authenticate(Array(signed.utf8))))"
    }

    func call(_ bearer: String, _ method: String, _ path: String, _ body: JSON? = nil, key: String? = nil) async throws -> Answer {
        var headers: HTTPHeaders = ["authorization": "Bearer \(bearer)"]
        if body != nil { headers["content-type"] = "application/json" }
        if let key { headers["idempotency-key"] = key }
        return try await send(method, path, headers: headers, body: body?.bytes ?? [])
    }

    /// A new link to a team's page: its path.
    func teamLink(_ team: String = "acme") async throws -> String {
        let answer = try await send("POST", "/api/teams/\(team)/page-link", headers: ["authorization": "Bearer \(key)"])
        guard answer.status == 201, let url = answer.string("url"), let start = url.firstRange(of: "/teams/") else { throw FixtureError(answer.text) }
        return String(url[start.lowerBound...])
    }

    static let upgrade: JSON = ["payment_method": "mobile_money", "metadata": ["plan_upgrade": true, "new_plan": "pro"]]

    /// A team's payment for Pro, begun by the product's key. - Returns: its id.
    func beginUpgrade(_ team: String = "acme") async throws -> String {
        let answer = try await post("/api/payments/\(team)/initiate", Self.upgrade)
        guard answer.status == 201, let id = answer.string("id") else { throw FixtureError(answer.text) }
        return id
    }

    /// Pays a team's payment at its provider, and waits until that has come through.
    func pay(_ payment: String) async throws {
        guard try await play("pay", ["reference": .string(payment)]) == 200 else { throw FixtureError("\(payment) cannot be paid") }
        try await eventually("the payment is paid") { try await self.database.read { try PaymentStore.require(payment, in: $0).state == .paid } }
    }

    /// Gives teams what they have paid for, as worker-plans does.
    func activate() async throws {
        let jobs = try await database.read { connection in
            try connection.query("SELECT id, queue, args, payment FROM outbox_jobs WHERE kind = $1 ORDER BY sequence", [.text(ActivatePlan.kind)])
                .map { row in
                    JobEnvelope(
                        id: try row.text("id"), kind: ActivatePlan.kind, queue: try row.text("queue"),
                        args: try JSON(parsing: try row.text("args")), payment: try row.textOrNil("payment"), enqueuedAtMs: 1)
                }
        }
        let activation = PlanActivation(database: database, outbox: relay.outbox)
        for job in jobs { _ = try await activation.run(try job.parameters(as: ActivatePlan.self), job: job, log: Log("plans"), nowMs: nowMs) }
    }

    func plan(of team: String = "acme") async throws -> Plan {
        let now = nowMs
        return try await database.read { try Plan.of(team: team, nowMs: now, in: $0) }
    }
}
