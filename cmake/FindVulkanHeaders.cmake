# Only the headers: the loader is opened at run time, so that a machine without one still runs on the CPU.
find_path(VulkanHeaders_INCLUDE_DIR vulkan/vulkan.h HINTS $ENV{VULKAN_SDK}/include $ENV{VULKAN_SDK}/Include)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(VulkanHeaders REQUIRED_VARS VulkanHeaders_INCLUDE_DIR)
if(VulkanHeaders_FOUND AND NOT TARGET Vulkan::Headers)
  add_library(Vulkan::Headers INTERFACE IMPORTED)
  set_target_properties(Vulkan::Headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${VulkanHeaders_INCLUDE_DIR}")
endif()
mark_as_advanced(VulkanHeaders_INCLUDE_DIR)
