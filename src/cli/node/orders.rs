//! What a node is told while it runs: by Ctrl-C or TERM, and, when it is
//! supervised, by lines on its standard input.

use std::io::BufRead;

/// An order.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Broadcast no more.
    Hush,
    /// Stop once it is quiet; the second time at once.
    Stop,
    /// Cut connections at random.
    Cut,
}

/// Orders that wait; more make whoever gives them wait.
const ORDERS_MAX: usize = 64;

/// Listens from now on. The end of a supervisor's orders is an order to stop.
pub(super) fn listen(supervised: bool) -> flume::Receiver<Order> {
    let (sender, orders) = flume::bounded(ORDERS_MAX);
    let interrupt = sender.clone();
    let handled = ctrlc::set_handler(move || {
        // Where so many orders wait, one to stop is among them.
        let _ = interrupt.try_send(Order::Stop);
    });
    if let Err(error) = handled {
        log::warn!("Ctrl-C will not stop this node gracefully: {error}");
    }
    if supervised {
        let read = move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                let order = match line.as_str() {
                    "hush" => Order::Hush,
                    "stop" => Order::Stop,
                    "cut" => Order::Cut,
                    other => {
                        log::warn!("'{other}' is no order");
                        continue;
                    }
                };
                if sender.send(order).is_err() {
                    return;
                }
            }
            // The main loop may be gone by now, and then it has stopped.
            let _ = sender.send(Order::Stop);
        };
        if let Err(error) = std::thread::Builder::new().name("orders".into()).spawn(read) {
            log::error!("this node cannot hear orders: {error}");
        }
    }
    orders
}
