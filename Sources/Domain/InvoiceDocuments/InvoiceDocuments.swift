enum InvoiceDocumentsRoom {}
