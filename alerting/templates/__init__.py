"""Go's text/template and html/template, as Prometheus' rules and Alertmanager's notifications use them.

parser -> nodes -> execution (values, functions) -> a sink: text as it is, or HTML whose values are escaped
"""
