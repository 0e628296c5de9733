/// How many jobs one claim may bring, by how soon the last of a claim begins: a pure value.
///
/// Jobs that wait most of their time begin at once, however many there are, so a claim may fill all slots and a round trip carries
/// hundreds. Jobs that keep the processors busy queue up in this process while a peer may have nothing to do: claims then become small.
struct ClaimPace {
    /// A claim whose last job begins later than this was too large.
    static let lagMax = Duration.milliseconds(50)
    /// A claim whose last job begins sooner than this may have been larger.
    static let lagMin = Duration.milliseconds(10)
    /// Claims whose last job has not begun: one is worked on while the next is on its way.
    static let claimsMax = 2
    static let first = 32

    private let most: Int
    private(set) var size: Int
    private var unbegun = 0

    /// - Parameter most: jobs at a time.
    init(most: Int) {
        self.most = most
        size = min(Self.first, most)
    }

    /// Jobs that may be claimed now.
    var allowance: Int { unbegun < Self.claimsMax ? size : 0 }

    /// Jobs are about to be begun.
    mutating func claimed() { unbegun += 1 }

    /// The last job of a claim has begun, so long after it was to.
    mutating func began(after lag: Duration) {
        unbegun -= 1
        if lag > Self.lagMax {
            size = max(1, size / 2)
        } else if lag < Self.lagMin {
            size = min(most, size * 2)
        }
    }
}
