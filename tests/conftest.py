"""Fixtures for all tests."""

from tests.fixtures.docker_engine import docker_engine, private_docker_engine

__all__ = ["docker_engine", "private_docker_engine"]
