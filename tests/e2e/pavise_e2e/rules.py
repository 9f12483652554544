"""Stand-in until the binary has `pavise intercept`."""
RULES = """
add table inet pavise
delete table inet pavise
table inet pavise {{
  chain output {{
    type nat hook output priority -100; policy accept;
    meta l4proto != tcp return
    meta skuid {uid} counter return
    oifname "lo" counter return
    meta l4proto tcp counter redirect to :15001
  }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    iifname "lo" return
    meta l4proto != tcp return
    tcp dport {{ 15008, 15020, 15021 }} counter return
    meta l4proto tcp counter redirect to :15006
  }}
}}
"""
