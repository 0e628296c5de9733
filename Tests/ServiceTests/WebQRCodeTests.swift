import Database
import Formats
import TestSupport
import Testing

@Suite("A payment's QR code")
struct WebQRCodeTests {
    @Test("leads a camera to the page where the payment is paid")
    func leads() async throws {
        try await WebStage.with { stage in
            let (inquiry, payment) = try await stage.inquire()
            let png = try await stage.get("/api/v1/payments/\(payment)/qr.png")
            #expect(png.status == 200)
            #expect(png.headers["content-type"] == "image/png")
            #expect(png.headers["cache-control"] == "no-store")
            let folder = try TemporaryFolder("qr")
            let process = try await ProcessFixture.start("zbarimg", ["--quiet", "--raw", try folder.write(png.body, to: "code.png")])
            try await process.waitForExit()
            #expect(process.output == ["\(WebStage.baseURL)/kit/checkout/\(inquiry)/"])
            let order = try await stage.get("/api/v1/payments/\(try await stage.order())/qr.png")
            let second = try await ProcessFixture.start("zbarimg", ["--quiet", "--raw", try folder.write(order.body, to: "order.png")])
            try await second.waitForExit()
            let link = try #require(second.output.first)
            #expect(link.hasPrefix("\(WebStage.baseURL)/pay/"))
            #expect(try await stage.send("GET", String(link.dropFirst(WebStage.baseURL.count))).status == 200)
            let small = try await stage.get("/api/v1/payments/\(payment)/qr.png?scale=2")
            #expect(small.status == 200 && small.body.count < png.body.count)
            let svg = try await stage.get("/api/v1/payments/\(payment)/qr.svg")
            #expect(svg.headers["content-type"] == "image/svg+xml")
            #expect(svg.text.contains("<svg"))
        }
    }

    @Test("is not given of what is not there, has no page yet, or has nothing to pay, and not to just anybody")
    func refused() async throws {
        try await WebStage.with { stage in
            let (_, payment) = try await stage.inquire()
            #expect(try await stage.get("/api/v1/payments/pay_none/qr.png").status == 404)
            #expect(try await stage.get("/api/v1/payments/\(payment)/qr.png?scale=0").status == 422)
            #expect(try await stage.send("GET", "/api/v1/payments/\(payment)/qr.png").status == 401)
            let order: JSON = ["order_id": "o-1", "description": "Two lamps", "amount": "5000", "currency": "XOF", "customer": ["name": "A"]]
            let other = try #require(try await stage.post("/api/v1/payments/", order).string("id"))
            #expect(try await stage.get("/api/v1/payments/\(other)/qr.svg").status == 200)
            try await stage.database.write { try $0.execute("UPDATE payments_payments SET state = 'paid' WHERE id = $1", [.text(payment)]) }
            #expect(try await stage.get("/api/v1/payments/\(payment)/qr.png").status == 409)
        }
    }
}
