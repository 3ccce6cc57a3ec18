"""The server through which people take part: pages, the interface behind them, and blinded images."""
