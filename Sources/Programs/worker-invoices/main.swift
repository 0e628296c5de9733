print("worker-invoices")
