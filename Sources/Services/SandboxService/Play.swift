import Formats
import HTTPServer
import Telemetry

/// Leads a request to the party it is meant for, and carries out what happens when a customer decides.
struct Play: Sendable {
    let configuration: SandboxConfiguration
    let book: SandboxBook
    let courier: Courier
    let couriers: Couriers
    let log: Log
    /// In the order in which they are asked for paths at the root.
    private let stages: [any HouseStage]
    private let text: TextStage
    private let messages: MessageStage
    private let control: ControlStage

    init(configuration: SandboxConfiguration, book: SandboxBook, courier: Courier, couriers: Couriers, log: Log) {
        self.configuration = configuration
        self.book = book
        self.courier = courier
        self.couriers = couriers
        self.log = log
        stages = [
            CinetPayStage(configuration: configuration, book: book),
            PaymentBackendStage(configuration: configuration, book: book),
            FeexPayStage(configuration: configuration, book: book),
            OrangeMoneyStage(configuration: configuration, book: book),
            KKiaPayStage(configuration: configuration, book: book),
            WaveStage(configuration: configuration, book: book),
            ICountStage(configuration: configuration, book: book),
        ]
        text = TextStage(configuration: configuration, book: book)
        messages = MessageStage(configuration: configuration, book: MessageBook(), courier: courier, couriers: couriers)
        control = ControlStage(configuration: configuration, book: book, courier: courier, messages: messages)
    }

    func respond(_ request: HTTPRequest) async -> HTTPResponse {
        let response: HTTPResponse
        do throws(SandboxError) {
            response = try await lead(request)
        } catch {
            response = .problem(error.status, "The sandbox cannot do that", detail: error.description)
        }
        if !request.path.hasPrefix("/sandbox/") { await book.record(call: Self.record(request, response)) }
        return response
    }

    private func lead(_ request: HTTPRequest) async throws(SandboxError) -> HTTPResponse {
        let base = "http://\(request.headers["host"] ?? configuration.address.description)"
        let path = request.path
        if path == "/healthz" { return .text(200, "ok\n") }
        if path == "/" { return index }
        if let response = try await payPage(request) { return response }
        if let response = await messages.respond(request) { return response }
        if let response = try await control.respond(request, path, settle: settle) { return response }
        for stage in stages {
            let path = Self.path(path, under: "/" + stage.house.rawValue)
            if let response = try await stage.respond(request, path, base: base, settle: settle) { return response }
        }
        if let response = await text.respond(request, Self.path(path, under: "/openai")) { return response }
        throw SandboxError(404, "nobody here answers \(request.method) \(path.prefix(200))")
    }

    private static func path(_ path: String, under name: String) -> String {
        path.hasPrefix(name + "/") ? String(path.dropFirst(name.count)) : path
    }

    // MARK: The customer

    private func payPage(_ request: HTTPRequest) async throws(SandboxError) -> HTTPResponse? {
        let parts = request.path.split(separator: "/")
        guard parts.count == 3, parts[1] == "pay" else { return nil }
        let payment = try await book.require(String(parts[2]))
        switch request.method {
        case "GET": return PayPage.choice(payment)
        case "POST":
            let fields = (try? FormURLEncoded.parse(request.body)) ?? []
            let states: [String: SandboxPayment.State] = ["pay": .paid, "refuse": .refused, "cancel": .cancelled]
            guard let state = states[fields.first { $0.name == "action" }?.value ?? ""] else {
                throw SandboxError(400, "field 'action' is pay, refuse or cancel")
            }
            return PayPage.leave(try await settle(payment, state), stage(of: payment))
        default: return nil
        }
    }

    /// How long an early notice is left standing for the product to ask about.
    private static let earlyPause: Duration = .seconds(2)

    private func stage(of payment: SandboxPayment) -> (any HouseStage)? { stages.first { $0.house == payment.house } }

    /// The customer has decided: settles the payment and sends its notices by the scenario.
    @Sendable private func settle(_ payment: SandboxPayment, _ state: SandboxPayment.State) async throws(SandboxError) -> SandboxPayment {
        let plan = NotificationPlan(payment.scenario)
        if !payment.scenario.dropped { await courier.deliver(stage(of: payment)?.prelude(payment) ?? []) }
        if !plan.early.isEmpty {
            let waiting = try await book.move(payment.reference, to: .waiting)
            // Few tries: the customer does not wait for a product that is down.
            var parcels = plan.early.compactMap { parcel(waiting, $0) }
            for index in parcels.indices { parcels[index].tries = 3 }
            await courier.deliver(parcels)
            await waitForStatusCall(waiting)
        }
        let settled = try await book.move(payment.reference, to: state)
        log.info("settled", ["reference": .string(settled.reference), "provider": .string(settled.house.rawValue), "state": .string(state.rawValue)])
        var parcels = plan.late.compactMap { parcel(settled, $0) }
        if !settled.scenario.dropped { parcels += stage(of: settled)?.epilogue(settled) ?? [] }
        couriers.send { [courier, parcels] in await courier.deliver(parcels) }
        return settled
    }

    private func parcel(_ payment: SandboxPayment, _ step: NotificationPlan.Step) -> Parcel? {
        stage(of: payment)?.notice(payment, step.notice, delayMs: step.delayMs)
    }

    /// Gives the product the chance to see the waiting state that it was told of; a customer takes longer than that.
    private func waitForStatusCall(_ payment: SandboxPayment) async {
        let deadline = ContinuousClock.now.advanced(by: Self.earlyPause)
        while ContinuousClock.now < deadline {
            if let found = await book.find(payment.reference), found.statusCalls > payment.statusCalls { return }
            guard (try? await Task.sleep(for: .milliseconds(20))) != nil else { return }
        }
    }

    // MARK: What was seen

    /// What is not listed of a call's body: keys, and what belongs to the customer alone.
    private static let unlisted = ["apikey", "phoneNumber", "phone", "otp", "merchant_key", "pass", "sid"]

    /// A call as it is listed: never the keys it was made with.
    private static func record(_ request: HTTPRequest, _ response: HTTPResponse) -> JSON {
        var body = String(decoding: request.body.prefix(4096), as: UTF8.self)
        // What is sent to people, and to which number.
        let isMessage = MessageStage.carriers.contains { request.path.hasPrefix("/\($0)/") }
        if isMessage { body = "" }
        if !isMessage, case .object(var members)? = try? JSON(parsing: request.body), unlisted.contains(where: { members[$0] != nil }) {
            for name in unlisted where members[name] != nil { members[name] = "[redacted]" }
            body = JSON.object(members).text
        }
        var headers: [(String, JSON)] = []
        for name in ["content-type", "idempotency-key", "user-agent", "x-client-request-id"] {
            if let value = request.headers[name] { headers.append((name, .string(value))) }
        }
        return [
            "at": .string(Timestamp.rfc3339(WallClock.nowMs)), "method": .string(request.method), "path": .string(request.path),
            "query": .optional(request.query), "headers": .object(JSONObject(headers)), "body": .string(body), "status": .int(Int64(response.status)),
        ]
    }

    private var index: HTTPResponse {
        let played = stages.map { "<li>\(HTML.escape($0.label)) (<code>/\($0.house.rawValue)</code>)</li>" }.joined()
        return .html(
            200,
            PayPage.page(
                "Sandbox",
                """
                <p>Plays:</p><ul>\(played)<li>an OpenAI-compatible endpoint (<code>/openai/v1</code>)</li>
                <li>SMS by Africa's Talking (<code>/africas-talking</code>) and Orange (<code>/orange-sms</code>), WhatsApp (<code>/whatsapp</code>)</li></ul>
                <p><a href="/sandbox/payments">Payments</a> · <a href="/sandbox/messages">Messages</a> · <a href="/sandbox/calls">Calls</a> · <a href="/sandbox/deliveries">Deliveries</a></p>
                """))
    }
}
