import Access
import Cryptography
import Database
import Formats
import HTTPServer
import Money
import Payments
import Plans
import ProviderPort

/// `/api/v1/payments/<provider>/…`: what a provider offers, what was paid there, how it is doing, and one more attempt there.
struct ProviderCalls: Sendable {
    static let historyMax = 100
    static let freshSeconds = 3600

    let database: Database
    let providers: ProviderRegistry
    let start: AttemptStart
    let once: IdempotentRun
    let nowMs: @Sendable () -> Int64

    var routes: [Route] {
        let scope = Route.Kind.api(scope: APIKey.payments)
        return [
            Route("GET", "/api/v1/payments/providers/", scope, bodyLimit: 0, offers),
            Route("GET", "/api/v1/payments/{provider}/providers/", scope, bodyLimit: 0, offers),
            Route("GET", "/api/v1/payments/{provider}/history/", scope, bodyLimit: 0, history),
            Route("GET", "/api/v1/payments/{provider}/health/", scope, bodyLimit: 0, counted: .status, health),
            Route("POST", "/api/v1/payments/{provider}/retry/{payment}/", scope, retry),
        ]
    }

    // MARK: Offers

    /// What customers may choose from: cacheable, with an ETag.
    private func offers(_ call: WebCall) async throws -> HTTPResponse {
        let named = call.values["provider"]
        let chosen = providers.all.filter { named == nil || $0.adapter.name == named }
        guard !chosen.isEmpty || named == nil else { throw WebProblem.notOn(named ?? "", providers) }
        let switches = try await database.read { try NetworkSwitches.read(in: $0) }
        let offers = chosen.map { Self.offer($0.adapter, switches, mode: $0.mode) }
        let body = JSON.object(JSONObject([("providers", .array(offers))])).bytes
        let tag = "\"\(Digest.sha256Hex(body).prefix(32))\""
        let headers = HTTPHeaders([("Cache-Control", "private, max-age=\(Self.freshSeconds)"), ("ETag", tag), ("Content-Type", "application/json")])
        let known = call.request.headers["if-none-match"]?.split(separator: ",").map { $0.drop { $0 == " " } } ?? []
        if known.contains(where: { $0 == tag || $0 == "W/\(tag)" || $0 == "*" }) { return HTTPResponse(status: 304, headers: headers, body: []) }
        return HTTPResponse(status: 200, headers: headers, body: body)
    }

    private static func offer(_ adapter: any PaymentProvider, _ switches: NetworkSwitches, mode: String) -> JSON {
        let capabilities = adapter.capabilities
        return [
            "provider": .string(adapter.name), "mode": .string(mode), "starts_payments": .bool(capabilities.hasInitiate),
            "refunds": .string(capabilities.refunds.rawValue), "cancels": .bool(capabilities.hasCancel),
            "choices": .array(switches.offer(of: adapter).choices.map(choice)),
        ]
    }

    private static func choice(_ choice: ProviderOffer.Choice) -> JSON {
        // One scale for all its currencies would be wrong: limits are told in the first one's.
        let currency = choice.currencies.first ?? .xof
        return [
            "method": .string(choice.method), "network": .optional(choice.network), "label": .string(choice.label),
            "countries": .array(choice.countries.map { .string($0) }), "currencies": .array(choice.currencies.map { .string($0.code) }),
            "minimum": .optional(choice.minimum.map { Money($0, currency).decimalText }),
            "maximum": .optional(choice.maximum.map { Money($0, currency).decimalText }), "flow": .string(choice.flow.rawValue),
            "needs": .array(choice.needs.map { .string($0) }), "available": .bool(choice.offReason == nil),
            "reason": .optional(choice.offReason),
        ]
    }

    // MARK: History

    /// The payments that were tried at the provider, newest first.
    private func history(_ call: WebCall) async throws -> HTTPResponse {
        let name = call.value("provider")
        guard providers.known(name) != nil else { throw WebProblem.notOn(name, providers) }
        let filter = try PaymentFilter(call, provider: name)
        let limit = Int(try call.whole("limit", in: 1...Int64(Self.historyMax), else: 50))
        let before = call.request.queryValue("before")
        return try await database.read { connection in
            // Of teams a token has the history of its own; here are those of all.
            let hidden = call.teams == .all ? nil : PlanPurpose.name
            let payments = try PaymentStore.search(filter, leavingOut: hidden, before: before, limit: limit + 1, in: connection)
            let shown = try payments.prefix(limit).map { payment in
                PaymentAnswer.payment(payment, attempts: try PaymentStore.attempts(of: payment.id, in: connection))
            }
            let next = payments.count > limit ? payments[limit - 1].id : nil
            return .json(200, ["payments": .array(shown), "next": .optional(next)])
        }
    }

    // MARK: Health

    /// How the provider has been doing: what it told last, and how the last day's attempts ended.
    private func health(_ call: WebCall) async throws -> HTTPResponse {
        let name = call.value("provider")
        guard let adapter = providers.known(name) else { throw WebProblem.notOn(name, providers) }
        let now = nowMs()
        let standing = try await database.read { try ProviderStanding.read(name, sinceMs: now - 24 * 3_600_000, in: $0) }
        let mode = providers.mode(of: name)
        return .json(
            200,
            [
                "provider": .string(name), "mode": .string(mode ?? "off"),
                "status": .string(mode == nil ? "off" : standing.isAiling ? "ailing" : "ok"),
                "starts_payments": .bool(mode != nil && adapter.capabilities.hasInitiate),
                "last_event_at": PaymentAnswer.time(standing.lastEventMs), "last_attempt_at": PaymentAnswer.time(standing.lastAttemptMs),
                "attempts_24h": .int(standing.attempts), "waiting_24h": .int(standing.waiting), "captured_24h": .int(standing.captured),
                "failed_24h": .int(standing.failed),
            ])
    }

    // MARK: Retry

    /// One more attempt at the same payment; those that still wait give way to it.
    private func retry(_ call: WebCall) async throws -> HTTPResponse {
        let provider = call.value("provider")
        _ = try start.adapter(named: provider)
        let payment = call.value("payment")
        var fields = FieldReader(call.request.body.isEmpty ? [:] : try RequestBody.json(call.request))
        let choice = try AttemptChoice(&fields)
        let find: @Sendable (Connection) throws -> Payment = { connection in
            let named = try PaymentStore.attempt(of: [.ours(payment)], provider: provider, in: connection)?.payment
            return try call.teams.payment(named ?? payment, asked: payment, in: connection)
        }
        return try await once(call, required: true, within: { _ = try find($0) }) { claim in
            var plan = choice.plan(at: provider, actor: call.actor, claim: claim)
            plan.replaces = true
            let started = try await start(plan, open: find)
            return .json(201, PaymentAnswer.started(started))
        }
    }
}

extension PaymentFilter {
    /// Reads `status`, `currency`, `method`, `from` and `to`.
    init(_ call: WebCall, provider: String) throws(WebProblem) {
        func time(_ name: String) throws(WebProblem) -> Int64? {
            guard let text = call.request.queryValue(name) else { return nil }
            guard let ms = Timestamp.parse(text) ?? Timestamp.parse(text + "T00:00:00Z") else {
                throw WebProblem.invalid(name, "must be a time of RFC 3339 or a day such as 2026-11-21")
            }
            return ms
        }
        var state: PaymentState?
        if let word = call.request.queryValue("status") {
            guard let known = PaymentState(rawValue: word) else {
                throw .invalid("status", "must be one of \(PaymentState.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            state = known
        }
        self.init(
            provider: provider, state: state, currency: call.request.queryValue("currency"), method: call.request.queryValue("method"),
            fromMs: try time("from"), toMs: try time("to"))
    }
}
