import Drafts
import Invoicing
import MessagePort
import Notifications
import Payments
import PaymentsService
import Plans
import Scheduling
import Usage
import UsageSamples

/// The queues of the product.
package enum ProductQueues {
    package static let names = [
        EventApplication.queue, VerifyPayment.queue, GenerateDraft.queue, ActivatePlan.queue, CreateInvoice.queue, SendNotification.queue,
        MeasureStorage.queue, SampleBatch.queue, ReceiptPost.queue, MakeBackup.queue,
    ]
}
