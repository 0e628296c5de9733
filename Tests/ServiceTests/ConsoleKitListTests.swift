import Database
import Drafts
import Formats
import Payments
import Staff
import TestSupport
import Testing

@testable import WebService

@Suite("The staff's list of kits")
struct ConsoleKitListTests {
    @Test("each kit bears a badge for its document and one for its payment, in words as well as in colour", arguments: ProcessingState.allCases)
    func badges(state: ProcessingState) async throws {
        try await WebStage.with { stage in
            let viewer = try await ConsoleClient.signedIn(stage, .viewer)
            let (inquiry, payment) = try await stage.inquire()
            let isPaid = state != .inquiryReceived
            if isPaid { try await stage.receive(payment) }
            try await stage.database.write {
                try $0.execute("UPDATE drafts_inquiries SET processing_state = $2 WHERE id = $1", [.text(inquiry), .text(state.rawValue)])
            }
            let list = try await viewer.get("/console/kits/")
            let row = try #require(list.text.between(">\(inquiry)</a>", "</tr>"))
            let badges = row.split(separator: "<span class=\"badge").dropFirst().compactMap { String($0).between(">", "</span>") }
            #expect(badges == [state.rawValue, isPaid ? "paid" : "created"], "\(row)")
            // And is found by its state, by no other.
            for other in ProcessingState.allCases {
                let found = try await viewer.get("/console/kits/?state=\(other.rawValue)").text.contains(">\(inquiry)</a>")
                #expect(found == (other == state), "\(other)")
            }
        }
    }
}
