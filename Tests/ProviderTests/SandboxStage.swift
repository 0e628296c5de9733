import CinetPay
import EventLoop
import FeexPay
import Formats
import HTTPClient
import HTTPServer
import PaymentBackend
import ProviderPort
import SandboxService
import Synchronization
import TestSupport

/// A sandbox and a merchant on real sockets, and the adapters that speak to it.
final class SandboxStage: Sendable {
    static let cinetPaySecret = "demo_secret_key_5f2c9a7e1b"
    static let feexPaySecret = "demo-feex-hook-value-93a7"
    static let signedSecret = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="

    static let wave = HouseKeys(values: ["api_key": "wave_sn_key"], secrets: ["wave_sn_WHS_first", "wave_sn_WHS_second"])
    static let kkiapay = HouseKeys(values: ["public_key": "pk", "private_key": "sk", "secret": "s"], secrets: ["kkiapay-secret", "older-secret"])

    let sandbox: Sandbox
    let merchant: Merchant
    let client: HTTPClient
    let cinetPay: CinetPayProvider
    let backend: PaymentBackendProvider
    let feexPay: FeexPayProvider
    private let loop: EventLoop

    var url: String { "http://\(sandbox.boundAddress)" }
    var transport: HTTPTransport { HTTPTransport(client: client) }

    static func with(
        backendSecret: String = signedSecret, _ body: (SandboxStage) async throws -> Void
    ) async throws {
        let stage = try await SandboxStage(backendSecret: backendSecret)
        do {
            try await body(stage)
        } catch {
            await stage.stop()
            throw error
        }
        await stage.stop()
    }

    private init(backendSecret: String) async throws {
        loop = try EventLoop.started(name: "stage")
        merchant = Merchant(loop: loop)
        try await merchant.server.start()
        var configuration = SandboxConfiguration(address: SocketAddress("127.0.0.1", 0), ingestURL: merchant.url)
        configuration.cinetPayAPIKey = "key"
        configuration.cinetPaySiteID = "900417"
        configuration.cinetPaySecret = Self.cinetPaySecret
        configuration.backendAPIKey = "bearer"
        configuration.backendSecret = backendSecret
        configuration.standardWebhooksSecret = Self.signedSecret
        configuration.openAIKey = "sk-test"
        configuration.houses["feexpay"] = HouseKeys(values: ["api_key": "fp_key", "shop_id": "shop-1"], secrets: [Self.feexPaySecret])
        configuration.houses["icount"] = HouseKeys(
            values: ["api_token": "icount-token", "cid": "demo", "user": "api", "pass": "icount-pass", "paypage_id": "30512"],
            secrets: ["icount-ours", "0A1B2C3D4E5F6071"])
        configuration.houses["orange-money"] = HouseKeys(
            values: ["client_id": "om-id", "client_secret": "om-secret", "merchant_key": "a86b2087"], secrets: ["om-webhook-secret"])
        configuration.houses["kkiapay"] = Self.kkiapay
        configuration.houses["wave"] = Self.wave
        sandbox = Sandbox(configuration: configuration, loop: loop)
        try await sandbox.start()
        client = HTTPClient(loop: loop)
        let url = "http://\(sandbox.boundAddress)"
        cinetPay = CinetPayProvider(apiKey: "key", siteID: "900417", secrets: [Self.cinetPaySecret], apiURL: "\(url)/cinetpay/v2")
        backend = try PaymentBackendProvider(baseURL: "\(url)/payment-backend", apiKey: "bearer", secrets: [backendSecret])
        feexPay = try FeexPayProvider(apiKey: "fp_key", shopID: "shop-1", secrets: [Self.feexPaySecret], apiURL: "\(url)/feexpay")
    }

    private func stop() async {
        await client.close()
        let deadline = ContinuousClock.now.advanced(by: .seconds(2))
        await sandbox.stop(by: deadline)
        await merchant.server.stop(by: deadline)
        await loop.end()
    }

    func post(_ path: String, _ json: JSON, headers: HTTPHeaders = [:]) async throws -> (status: Int, json: JSON) {
        var headers = headers
        headers["content-type"] = "application/json"
        let response = try await client.send(HTTPClient.Request(method: "POST", url: url + path, headers: headers, body: json.bytes))
        return (response.status, try JSON(parsing: response.body))
    }

    func get(_ path: String) async throws -> JSON {
        try JSON(parsing: try await client.send(HTTPClient.Request(url: url + path)).body)
    }
}

/// Takes notices as ingest does, and keeps them.
final class Merchant: Sendable {
    struct State {
        var received: [IncomingWebhook] = []
        /// Statuses to answer first, before 200.
        var refusals: [Int] = []
    }
    let state = Mutex(State())
    let server: HTTPServer

    init(loop: EventLoop) {
        let box = Box()
        server = HTTPServer(configuration: HTTPServerConfiguration(address: SocketAddress("127.0.0.1", 0)), loops: [loop], name: "merchant") {
            request, responder in
            responder.respond(.text(box.merchant?.take(request) ?? 500, ""))
        }
        box.set(self)
    }

    var url: String { "http://\(server.boundAddress)" }
    var received: [IncomingWebhook] { state.withLock { $0.received } }
    /// Without the availability pings.
    var notices: [IncomingWebhook] { received.filter { $0.method == "POST" } }

    func refuse(_ statuses: [Int]) { state.withLock { $0.refusals = statuses } }

    private func take(_ request: HTTPRequest) -> Int {
        state.withLock { state in
            state.received.append(IncomingWebhook(method: request.method, headers: request.headers, body: request.body))
            return state.refusals.isEmpty || request.method == "GET" ? 200 : state.refusals.removeFirst()
        }
    }

    /// The handler exists before the merchant does.
    private final class Box: Sendable {
        private let weakly = Mutex<Weak>(Weak())
        private struct Weak { weak var merchant: Merchant? }
        var merchant: Merchant? { weakly.withLock { $0.merchant } }
        func set(_ merchant: Merchant) { weakly.withLock { $0.merchant = merchant } }
    }
}

/// The way out for adapters, over the real client.
struct HTTPTransport: ProviderTransport {
    let client: HTTPClient

    func send(_ call: ProviderCall) async throws(ProviderError) -> ProviderAnswer {
        do throws(HTTPClientError) {
            let response = try await client.send(HTTPClient.Request(method: call.method, url: call.url, headers: call.headers, body: call.body))
            return ProviderAnswer(status: response.status, headers: response.headers, body: response.body)
        } catch {
            throw ProviderError(.unavailable, error.message)
        }
    }
}
