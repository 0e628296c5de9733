import Database
import JobQueue
import MessageCatalog
import MessagePort
import Notifications
import ProviderPort
import Telemetry

/// Reads what carriers have posted from the list: many posts in one transaction.
public struct ReceiptReading: Sendable {
    /// Posts in one transaction; one of WhatsApp may hold many receipts.
    public static let batchMax = 50

    private let database: Database
    private let book: ReceiptBook
    private let log: Log
    private let nowMs: @Sendable () -> Int64

    public init(database: Database, book: ReceiptBook, log: Log, nowMs: @escaping @Sendable () -> Int64) {
        self.database = database
        self.book = book
        self.log = log
        self.nowMs = nowMs
    }

    /// - Returns: one outcome per body: what cannot be read is buried, everything else is entered, once. When the database cannot take it
    ///   now, it throws and the same bodies come again.
    public func read(_ batch: [ClaimedJob]) async throws -> [BatchOutcome] {
        var outcomes: [BatchOutcome] = []
        var posts: [(post: ReceiptPost, receipts: [DeliveryReceipt])] = []
        for job in batch {
            do throws(ProviderError) {
                let post = try ReceiptPost(decoding: job.body)
                posts.append((post, try MessageCatalog.receipts(in: post)))
                outcomes.append(.ack)
            } catch {
                log.error("a body on the list of receipts cannot be read", ["reason": .string(error.message)])
                outcomes.append(.bury(reason: error.message))
            }
        }
        let (book, now, read) = (book, nowMs(), posts)
        let entered = try await database.write { connection in
            var entered: [(carrier: String, state: String, effect: ReceiptBook.Effect)] = []
            for (post, receipts) in read {
                for receipt in receipts {
                    let effect = try book.enter(receipt, of: post.carrier, nowMs: now, in: connection)
                    entered.append((post.carrier, receipt.state.rawValue, effect))
                }
            }
            try ReceiptBook.purge(nowMs: now, in: connection)
            return entered
        }
        for (carrier, state, effect) in entered {
            MetricRegistry.shared.counter(
                "notifications_receipts_total", help: "Receipts of messages, by what they told and what they moved.",
                labels: [("carrier", carrier), ("state", state), ("effect", effect.rawValue)]
            ).add()
        }
        return outcomes
    }
}
