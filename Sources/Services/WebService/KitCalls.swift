import Database
import Drafts
import Formats
import HTTPServer
import Money
import Payments

/// `/api/v1/kit/inquiries/`: takes an inquiry with its order and its payment, at the price of the product row.
struct KitCalls: Sendable {
    /// Six long texts of 10 000 characters, each of them four escaped bytes at worst.
    static let bodyLimit = 1024 * 1024

    let database: Database
    let baseURL: String
    let nowMs: @Sendable () -> Int64

    var routes: [Route] { [Route("POST", "/api/v1/kit/inquiries/", .openAPI, bodyLimit: Self.bodyLimit, create)] }

    private func create(_ call: WebCall) async throws -> HTTPResponse {
        let (inquiry, order, payment) = try await take(try RequestBody.fields(call.request, allowsJSON: true), actor: call.actor)
        let checkout = "\(baseURL)/kit/checkout/\(inquiry.id)/"
        var response = HTTPResponse.json(
            201,
            [
                "inquiry": .string(inquiry.id), "order": .string(order.id), "payment": .string(payment.id), "checkout_url": .string(checkout),
                "amount": .string(payment.amount.decimalText), "currency": .string(payment.amount.currency.code),
            ])
        response.headers["Location"] = checkout
        return response
    }

    /// - Throws: ``InquiryError`` with every field that breaks a rule.
    func take(_ fields: [String: String], actor: String) async throws -> (Inquiry, Order, Payment) {
        let form = try InquiryForm(fields: fields)
        let now = nowMs()
        return try await database.write { try InquiryStore.create(form, actor: actor, nowMs: now, in: $0) }
    }
}
