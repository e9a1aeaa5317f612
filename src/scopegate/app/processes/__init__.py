"""The processes of one node: started, handed their sockets, watched, restarted, drained.

supervisor      all children together, until one is told to end
child           one child: how it is started again, and how fast
envoy_child     the proxy as a child, and its drain (envoy_admin)
policy_process  one policy worker
listening       sockets that stay open while who serves them is replaced
handover        what a Python child gets from the supervisor
heartbeat       a child that hangs is killed
tether          a child that dies with its supervisor
serving         uvicorn, with limits for slow clients
"""
