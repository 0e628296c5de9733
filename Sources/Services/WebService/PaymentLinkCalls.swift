import Access
import Database
import Formats
import HTTPServer
import Payments

/// `/api/v1/payments/<payment>/link/`: makes links to a payment, and takes back those that were made.
struct PaymentLinkCalls: Sendable {
    let database: Database
    let link: PaymentLink?
    let baseURL: String
    let nowMs: @Sendable () -> Int64

    var routes: [Route] {
        let scope = Route.Kind.api(scope: APIKey.payments)
        return [
            Route("POST", "/api/v1/payments/{payment}/link/", scope, bodyLimit: 4096, make),
            Route("DELETE", "/api/v1/payments/{payment}/link/", scope, bodyLimit: 0, revoke),
        ]
    }

    private func make(_ call: WebCall) async throws -> HTTPResponse {
        var fields = FieldReader(call.request.body.isEmpty ? [:] : try RequestBody.json(call.request))
        let life = fields.whole("expires_in", in: (PaymentLink.shortestLifeMs / 1000)...(PaymentLink.longestLifeMs / 1000))
        let word = fields.word("purpose", of: PaymentLink.Purpose.allCases.map(\.word))
        try fields.check()
        guard let link else {
            throw WebProblem(status: 503, title: "No links", detail: "SECRET_KEY is not set, so that no link can be signed")
        }
        let purpose = word.flatMap { PaymentLink.Purpose(word: $0) } ?? .pay
        let (id, now) = (call.value("payment"), nowMs())
        let generation = try await database.write { connection in
            let payment = try call.teams.payment(id, in: connection)
            if purpose == .pay { try PaymentStore.noteAsked(for: payment, nowMs: now, in: connection) }
            return try PaymentLinks.generation(of: payment.id, in: connection)
        }
        let made = link.token(
            for: id, purpose, generation: generation, lifeMs: life.map { $0 * 1000 } ?? PaymentLink.standardLifeMs, nowMs: now)
        guard let made else { throw WebProblem.notFound("there is no payment \(id.prefix(80))") }
        return .json(
            201,
            [
                "payment": .string(id), "purpose": .string(purpose.word), "token": .string(made.text),
                "url": .string(baseURL + LinkGate.path(made.text)), "expires_at": PaymentAnswer.time(made.expiresAtMs),
            ])
    }

    private func revoke(_ call: WebCall) async throws -> HTTPResponse {
        let (id, now) = (call.value("payment"), nowMs())
        try await database.write { connection in
            try PaymentLinks.revoke(try call.teams.payment(id, in: connection).id, nowMs: now, in: connection)
        }
        return .json(200, ["payment": .string(id), "revoked_at": PaymentAnswer.time(now)])
    }
}
