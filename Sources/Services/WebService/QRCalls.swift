import Access
import Database
import Drafts
import Formats
import HTTPServer
import Invoicing
import Payments
import QRCodes

/// `/api/v1/payments/<payment>/qr.png` and `qr.svg`: where a payment can be paid, for a phone's camera.
struct QRCalls: Sendable {
    /// Dots on a side of a square: a code of a link is then some 400 dots wide.
    static let standardScale: Int64 = 8

    let database: Database
    let baseURL: String
    let links: OwnLinks

    var routes: [Route] {
        let scope = Route.Kind.api(scope: APIKey.payments)
        return [
            Route("GET", "/api/v1/payments/{payment}/qr.png", scope, bodyLimit: 0, png),
            Route("GET", "/api/v1/payments/{payment}/qr.svg", scope, bodyLimit: 0, svg),
        ]
    }

    private func png(_ call: WebCall) async throws -> HTTPResponse {
        let scale = Int(try call.whole("scale", in: 1...40, else: Self.standardScale))
        guard let picture = try await code(call).png(scale: scale) else { throw WebProblem.unavailable }
        return HTTPResponse(status: 200, headers: ["Content-Type": "image/png"], body: picture)
    }

    private func svg(_ call: WebCall) async throws -> HTTPResponse {
        // A browser that shows it by itself runs and fetches nothing.
        let headers: HTTPHeaders = ["Content-Type": "image/svg+xml", "Content-Security-Policy": "default-src 'none'"]
        return HTTPResponse(status: 200, headers: headers, body: Array(try await code(call).svg.utf8))
    }

    private func code(_ call: WebCall) async throws -> QRCode {
        let id = call.value("payment")
        let page = try await database.read { connection in
            let payment = try call.teams.payment(id, in: connection)
            guard payment.state.isOpen || [.failed, .cancelled, .expired].contains(payment.state) else {
                throw WebProblem.conflict("payment \(id) is \(payment.state.rawValue): there is nothing to pay")
            }
            return try address(of: payment, in: connection)
        }
        guard let code = page.flatMap({ QRCode($0) }) else {
            throw WebProblem.conflict("there is no page where payment \(id) is paid; start an attempt first")
        }
        return code
    }

    /// The page where the customer pays.
    private func address(of payment: Payment, in connection: Connection) throws -> String? {
        if let inquiry = payment.metadata["inquiry_id"], payment.purpose == KitPurpose.name { return "\(baseURL)/kit/checkout/\(inquiry)/" }
        if payment.purpose == OrderPurpose.name, let path = try links.path(to: payment.id, .pay, lifeMs: PaymentLink.standardLifeMs, in: connection) {
            return baseURL + path
        }
        return try PaymentStore.attempts(of: payment.id, in: connection).last { $0.isOpen }?.paymentURL
    }
}
